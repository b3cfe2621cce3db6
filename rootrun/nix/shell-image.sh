# The builder of a script that writes a shell image to its standard output.
set -- shell-image "$derivation" --closure "$closure" --shell "$inImage" --tag "$nameAndTag" -o -
set -- "$@" --uid "$uid" --gid "$gid" --home "$homeDirectory"
[ -z "$command" ] || set -- "$@" --command "$command"
[ -z "$run" ] || set -- "$@" --run "$run"
[ -z "$usrBinEnv" ] || set -- "$@" --with "usr-bin-env=$usrBinEnv"
[ -z "$bundle" ] || set -- "$@" --with "ca-certificates=$bundle"
seconds=1
