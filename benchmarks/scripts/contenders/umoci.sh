# umoci and runc (crun refuses machines whose cgroups are of both versions), with skopeo from and to archives. They keep the image, as a layout.
base=$1 out=$2 script=$3 work=$4
export base out script work
exec unshare --user --map-root-user --map-auto --mount sh -e -c '
    layout=$work/layout
    [ -d "$layout" ] || skopeo copy -q "docker-archive:$base" "oci:$layout:base"
    umoci unpack --image "$layout:base" "$work/bundle" >/dev/null
    jq -c --arg script "$script" --arg repository "$REPOSITORY" "
        .process.terminal = false | .process.args = [\"/bin/sh\", \"-e\", \"/script\"] |
        del(.linux.resources) |
        .mounts += [
            {destination: \"/script\", source: \$script, type: \"bind\", options: [\"bind\", \"ro\"]},
            {destination: \"/repo\", source: \$repository, type: \"bind\", options: [\"bind\", \"ro\"]}
        ]" "$work/bundle/config.json" >"$work/config.json"
    mv "$work/config.json" "$work/bundle/config.json"
    runc --root "$work/run" --rootless true run --bundle "$work/bundle" job
    umoci repack --image "$layout:out" "$work/bundle" >/dev/null
    rm -f "$out"
    skopeo copy -q "oci:$layout:out" "docker-archive:$out:localhost/out:1"
    umoci rm --image "$layout:out" >/dev/null
    umoci gc --layout "$layout" >/dev/null
    rm -rf "$work/bundle"
'
