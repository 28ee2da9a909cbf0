#!/bin/bash
# boot_systemd.sh WORK FILES PREFIX REPOSITORY: a real systemd as PID 1 of new namespaces, over an overlay of /, so that nothing
# of this machine is touched. FILES (a directory) is copied over the new root; the interpreter below PREFIX and
# the REPOSITORY are found in /opt/syncd-test, wherever they lie. Ends when the caller kills it.
set -e
export WORK=$1 FILES=$2 PREFIX=$3 REPOSITORY=$4
mkdir -p "$WORK"
exec unshare --mount --pid --fork --kill-child --net --uts --ipc --cgroup --propagation private bash -c '
set -e
mount -t tmpfs -o size=256m tmpfs "$WORK"; mkdir -p "$WORK"/{up,work,root}
R="$WORK/root"
mount -t overlay overlay -o lowerdir=/,upperdir="$WORK/up",workdir="$WORK/work" "$R"
mount --bind "$R" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs -o ro sysfs "$R/sys" 2>/dev/null || mount --rbind -o ro /sys "$R/sys"
mount -t cgroup2 none "$R/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$R/run"
mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"
mount -t tmpfs -o mode=755 tmpfs "$R/dev"
for d in null zero full random urandom tty; do touch "$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"; done
mkdir -p "$R"/dev/{shm,pts,mqueue}; ln -s /proc/self/fd "$R/dev/fd"
mount -t tmpfs tmpfs "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$R/dev/pts"; ln -s pts/ptmx "$R/dev/ptmx"
# Only our units: the services that this machine has enabled stay out, and so do those that need hardware.
rm -rf "$R/etc/systemd/system" "$R/etc/syncd"; mkdir -p "$R"/etc/systemd/system/{multi-user,sockets}.target.wants
for u in getty.target systemd-udevd.service systemd-udevd-{kernel,control}.socket systemd-udev-trigger.service \
    systemd-{networkd,resolved,timesyncd,logind}.service e2scrub_reap.service remote-fs.target swap.target \
    dev-hugepages.mount sys-kernel-{debug,tracing}.mount sys-fs-fuse-connections.mount dev-mqueue.mount; do
  ln -sf /dev/null "$R/etc/systemd/system/$u"
done
: > "$R/etc/fstab"
echo 0123456789abcdef0123456789abcdef > "$R/etc/machine-id"
cp -a "$FILES/." "$R/"
mkdir -p "$R"/opt/syncd-test/{prefix,repository}
mount --bind "$PREFIX" "$R/opt/syncd-test/prefix"
mount --bind "$REPOSITORY" "$R/opt/syncd-test/repository"
mkdir -p "$R/oldroot"; cd "$R"; pivot_root . oldroot; umount -l /oldroot
mount --make-rshared /
export container=syncd-test
exec /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --log-level=warning \
  --show-status=no --default-standard-output=journal --crash-reboot=no
'
