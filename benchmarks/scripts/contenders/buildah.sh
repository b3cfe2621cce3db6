# buildah, rootless, with the overlay driver. It keeps the image for the next run.
base=$1 out=$2 script=$3 work=$4
run() {
    buildah --storage-driver overlay --root "$work/storage" --runroot "$work/run" "$@"
}
image=docker-archive:$base
if run inspect --type image localhost/bench:1 >/dev/null 2>&1; then
    image=localhost/bench:1
fi
container=$(run from -q --pull-never --network none "$image")
run run --isolation chroot -v "$script:/script:ro" -v "$REPOSITORY:/repo:ro" "$container" -- \
    /bin/sh -e /script
rm -f "$out"
run commit -q --timestamp 1 --disable-compression "$container" "docker-archive:$out:localhost/out:1"
run rm "$container" >/dev/null
