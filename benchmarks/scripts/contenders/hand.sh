# The floor: what a run costs with tar, unshare(1) and an overlay, by hand. No digest is verified.
. "${0%/*}/tree.sh"
base=$1 out=$2 script=$3 work=$4
export base out script work
exec unshare --user --map-root-user --map-auto --mount --pid --fork sh -e -c '
    . "$1"
    if [ ! -d "$work/layers" ]; then
        mkdir "$work/layers"
        unpack_layers "$base" "$work/layers"
    fi
    mkdir "$work/upper" "$work/ovl" "$work/root"
    # The uppermost comes first.
    lower=$(ls -d "$work"/layers/* | sort -r | paste -sd:)
    mount -t overlay -o "userxattr,lowerdir=$lower,upperdir=$work/upper,workdir=$work/ovl" \
        none "$work/root"
    run_in_root "$work/root" "$script"
    umount "$work/root"
    find "$work/upper" -type c | while read -r device; do
        rm "$device"
        touch "${device%/*}/.wh.${device##*/}"
    done
    tar -C "$work/upper" -cf "$work/layer.tar" .
    rm -rf "$work/upper" "$work/ovl" "$work/root"
    append_layer "$base" "$out" "$work/layer.tar"
' sh "${0%/*}/tree.sh"
