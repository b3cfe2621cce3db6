#!/bin/busybox sh
# The first program of a guest: loads modules, mounts the root (a squashfs below a tmpfs) and
# hands over to the agent. Few processes: each costs 40 ms under emulation.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
while read -r module; do
    $B insmod "/modules/$module" || echo "init: insmod $module failed"
done < /modules/order

fail() {
    echo "init: $1"
    $B poweroff -f
}

find_root() {
    for disk in /sys/block/vd*; do
        read -r serial < "$disk/serial"
        [ "$serial" = root ] && root=/dev/${disk##*/}
    done
}

root=
tries=0
while find_root 2>/dev/null; [ -z "$root" ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "there is no disk called root"
    $B sleep 0.1
done
$B mount -t tmpfs -o mode=755,size=75% tmpfs /upper || fail "cannot mount a tmpfs"
$B mkdir -p /upper/u /upper/w
$B mount -o ro -t squashfs "$root" /lower || fail "cannot mount $root"
$B mount -t overlay -o lowerdir=/lower,upperdir=/upper/u,workdir=/upper/w overlay /newroot ||
    fail "cannot mount the root"
$B mkdir -p /newroot/vmagent
$B cp /agent.sh $B /newroot/vmagent/
for name in proc sys dev; do
    $B mount --move /$name /newroot/$name
done
exec $B switch_root /newroot /vmagent/busybox sh /vmagent/agent.sh
