#!/bin/sh
# In the new system's own root: its kernel, the few modules that QEMU's devices need, and what loads them before its root
# is there. Everything else of the kernel's package stays away.
set -eu

kernel=/tmp/kernel
apt-get --quiet --quiet update
apt-get --quiet --quiet --yes --no-install-recommends --download-only install linux-image-cloud-amd64
dpkg-deb --extract /var/cache/apt/archives/linux-image-[0-9]*.deb "$kernel"
version=$(ls "$kernel/lib/modules")
depmod --basedir "$kernel" "$version"

stage=/tmp/initrd
mkdir -p "$stage/bin" "$stage/dev" "$stage/root" "$stage/modules"
cp /bin/busybox "$stage/bin/busybox"
install --mode=0755 /tmp/init "$stage/init"
for module in virtio_pci virtio_blk virtio_net virtio_rng ext4; do
    # What is built in has no file.
    modprobe --dirname "$kernel" --set-version "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' > /tmp/order
while read -r module; do
    cp "$module" "$stage/modules/"
    basename "$module"
done < /tmp/order > "$stage/order"
(cd "$stage" && find . | cpio --quiet --create --format=newc --owner=0:0) > /boot/initrd
cp "$kernel/boot/vmlinuz-$version" /boot/vmlinuz

apt-get clean
rm -rf "$kernel" "$stage" /tmp/order /tmp/init /usr/share/doc /usr/share/locale /usr/share/man
