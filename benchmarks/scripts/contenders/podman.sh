# podman, rootless, with runc and the overlay driver. It keeps the image for the next run.
base=$1 out=$2 script=$3 work=$4
run() {
    podman --storage-driver overlay --root "$work/storage" --runroot "$work/run" \
        --tmpdir "$work/tmp" --runtime runc --cgroup-manager cgroupfs --events-backend none "$@"
}
run image exists localhost/bench:1 || run load -q -i "$base"
run run -q --name job --network none --security-opt label=disable \
    -v "$script:/script:ro" -v "$REPOSITORY:/repo:ro" localhost/bench:1 /bin/sh -e /script
run commit -q --format docker job localhost/out:1 >/dev/null
rm -f "$out"
run save -q --format docker-archive -o "$out" localhost/out:1
run rm job >/dev/null
run rmi localhost/out:1 >/dev/null
