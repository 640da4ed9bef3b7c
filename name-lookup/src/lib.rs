//! Makes a statically linked program look names up without loading anything of the machine on which it runs. There is nothing to
//! call: linking it (`use stopgap_name_lookup as _;`) is enough. In other programs it does nothing.
//!
//! A static program has glibc's lookup in `/etc/hosts` and by DNS built in, and loads all else that the machine's
//! `/etc/nsswitch.conf` names (`myhostname`, `resolve`, `sss`) as libraries, which only work with the very glibc that the program
//! was linked with. With another one the program dies by SIGFPE or SIGABRT at its first look-up. So the choice is made before
//! `main`, in C, since nothing in Rust may call this without `unsafe`; see `docs/adr/0009-static-programs.md`.
