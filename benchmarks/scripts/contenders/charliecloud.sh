# Charliecloud's ch-run: a tree of one's own ids, in a user namespace. Nothing is kept.
. "${0%/*}/tree.sh"
base=$1 out=$2 script=$3 work=$4
mkdir "$work/root"
unpack_merged "$base" "$work/root"
mkdir -p "$work/root/repo"
cp "$script" "$work/root/script"
ch-run --write --uid=0 --gid=0 --private-tmp --no-passwd --bind="$REPOSITORY:/repo" "$work/root" -- \
    /bin/sh -e /script
rm "$work/root/script"
write_flat "$work/root" "$out"
chmod -R u+rwX "$work/root"
rm -rf "$work/root"
