# PRoot: a tree of one's own ids, system calls stopped by ptrace(2). It keeps nothing for the next run.
. "${0%/*}/tree.sh"
base=$1 out=$2 script=$3 work=$4
mkdir "$work/root"
unpack_merged "$base" "$work/root"
proot -0 -r "$work/root" -b /dev -b /proc -b "$REPOSITORY:/repo" -b "$script:/tmp/script" -w / \
    /bin/sh -e /tmp/script
write_flat "$work/root" "$out"
chmod -R u+rwX "$work/root"
rm -rf "$work/root"
