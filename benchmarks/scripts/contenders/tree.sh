# What those contenders share that know no archives of images. $TAR_OPTION decompresses a layer.

# Unpack each layer of the archive $1 into a directory of its own, $2/N, with whiteouts of overlayfs.
unpack_layers() {
    number=100
    for layer in $(tar -xOf "$1" manifest.json | jq -r '.[0].Layers[]'); do
        number=$((number + 1))
        mkdir "$2/$number"
        tar -xOf "$1" "$layer" | tar $TAR_OPTION -xpf - -C "$2/$number" --exclude='./dev/*'
        find "$2/$number" -name '.wh.*' | while read -r mark; do
            rm "$mark"
            mknod "${mark%/*}/${mark##*/.wh.}" c 0 0
        done
    done
}

# Unpack all layers of the archive $1 into one directory $2, as a user without other ids.
unpack_merged() {
    for layer in $(tar -xOf "$1" manifest.json | jq -r '.[0].Layers[]'); do
        tar -xOf "$1" "$layer" | tar $TAR_OPTION -xpf - -C "$2" --exclude='./dev/*' \
            --no-same-owner
        find "$2" -name '.wh.*' | while read -r mark; do
            rm -rf "$mark" "${mark%/*}/${mark##*/.wh.}"
        done
    done
}

# Run the script $2 in the root $1, of a new mount and pid namespace.
run_in_root() {
    mkdir -p "$1/dev" "$1/proc" "$1/repo"
    mount --rbind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    mount --rbind "$REPOSITORY" "$1/repo"
    chroot "$1" /bin/sh -e /proc/self/fd/3 3<"$2"
    umount -l "$1/repo" "$1/proc" "$1/dev"
}

# Write the image of the archive $1 with the layer $3 over it to $2. $1 has its layers first.
append_layer() {
    diff_id=$(sha256sum <"$3")
    diff_id=${diff_id%% *}
    config=$(tar -xOf "$1" manifest.json | jq -r '.[0].Config')
    new=$(mktemp -d)
    mkdir "$new/$diff_id"
    mv "$3" "$new/$diff_id/layer.tar"
    tar -xOf "$1" "$config" | jq -c ".rootfs.diff_ids += [\"sha256:$diff_id\"] |
        .history += [{\"created_by\": \"bench\"}]" >"$new/config.json"
    tar -xOf "$1" manifest.json | jq -c ".[0].Layers += [\"$diff_id/layer.tar\"] |
        .[0].Config = \"config.json\"" >"$new/manifest.json"
    first=$(tar -tRf "$1" "$config" | sed '1!d; s/^block \([0-9]*\):.*/\1/')
    cp "$1" "$2"
    truncate -s "$((first * 512))" "$2"
    tar -C "$new" -cf - "$diff_id/layer.tar" config.json manifest.json >>"$2"
    sync "$2"
    rm -r "$new"
}

# Write an image whose one layer is the tree $1 to $2: the layers of the base are lost.
write_flat() {
    new=$(mktemp -d)
    tar -C "$1" -cf "$new/layer.tar" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
        --exclude='./repo' .
    diff_id=$(sha256sum <"$new/layer.tar")
    echo "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\
\"diff_ids\":[\"sha256:${diff_id%% *}\"]},\"history\":[{\"created_by\":\"bench\"}]}" >"$new/config.json"
    echo '[{"Config":"config.json","RepoTags":["localhost/bench:2"],"Layers":["layer.tar"]}]' \
        >"$new/manifest.json"
    tar -C "$new" -cf "$2" layer.tar config.json manifest.json
    rm -r "$new"
}
