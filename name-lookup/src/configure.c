/* Before main: the lookups that a static glibc has built in, whatever /etc/nsswitch.conf says. From then on glibc does not read
   that file at all. A database that fails here is left as it is: there is nobody yet to tell. */

#include <nss.h>

__attribute__((constructor)) static void configure_lookup(void)
{
    __nss_configure_lookup("hosts", "files dns");
    __nss_configure_lookup("passwd", "files");
    __nss_configure_lookup("group", "files");
    __nss_configure_lookup("services", "files");
}
