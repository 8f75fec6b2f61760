#!/bin/sh
# The machine's disk and devices, in namespaces of its own; then its first process, which is given as arguments.
# $DEBIAN is the system, $DISK the folder of what the machine writes, $WHEELS what its pip finds.
set -eu
mount --make-rprivate /
root=$DISK/root
mkdir -p "$root" "$DISK/written" "$DISK/work"
mount -t overlay overlay -o "lowerdir=$DEBIAN,upperdir=$DISK/written,workdir=$DISK/work" "$root"
mkdir -p "$root/srv/wheels" "$root/var/log/journal"
mount --bind "$WHEELS" "$root/srv/wheels"

mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys" # the kernel is not the machine's own
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
cp /proc/sys/kernel/random/uuid "$root/run/boot_id" # another one at every start, as the kernel's
mount --bind "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

exec setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio \
    env -i container=factory PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
