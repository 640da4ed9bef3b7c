/* Before main: the lookups that a static glibc has built in, whatever /etc/nsswitch.conf says. From then on glibc does not read
   that file at all. A database that fails here is left as it is: there is nobody yet to tell. */

#include <link.h>
#include <nss.h>
#include <sys/auxv.h>

/* A program that the dynamic linker starts names it in its headers (elf(5), PT_INTERP), and has the machine's own glibc. */
static int is_static(void)
{
    const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    unsigned long count = getauxval(AT_PHNUM);
    if (!headers)
        return 0;
    for (unsigned long i = 0; i < count; i++)
        if (headers[i].p_type == PT_INTERP)
            return 0;
    return 1;
}

__attribute__((constructor)) static void configure_lookup(void)
{
    if (!is_static())
        return;
    __nss_configure_lookup("hosts", "files dns");
    __nss_configure_lookup("passwd", "files");
    __nss_configure_lookup("group", "files");
    __nss_configure_lookup("services", "files");
}
