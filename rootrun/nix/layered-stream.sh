# The builder of a script that writes a layered image to its standard output.
set -- layered --closure "$conf/closure" --config "$conf/config.json"
set -- "$@" --tag "$nameAndTag" --created "$created" --squash -o -
for item in $items; do
  set -- "$@" --contents "$item"
done
[ -z "$fromImage" ] || set -- "$@" --from "$fromImage"
[ -z "$platform" ] || set -- "$@" --arch "$platform"
[ -z "$owner" ] || set -- "$@" --owner "$owner"
[ -z "$maxLayers" ] || set -- "$@" --max-layers "$maxLayers"
[ -z "$noStorePaths" ] || set -- "$@" --no-store-paths
[ -z "$verbose" ] || set -- "$@" --verbose
[ ! -e "$conf/pipeline.json" ] || set -- "$@" --pipeline "$conf/pipeline.json"
[ ! -e "$conf/registration" ] || set -- "$@" --nix-db "$conf/registration"
if [ -e "$conf/candidates" ]; then
  [ -n "$noStorePaths" ] || set -- "$@" --references "$conf/candidates"
  set -- "$@" --bind "$store:$store:ro"
  for name in extraCommands fakeRootCommands; do
    [ ! -e "$conf/$name" ] || set -- "$@" --script "$conf/$name"
  done
fi

case $mtime in
  now) seconds='"$(date +%s)"' ;;
  @*) seconds=${mtime#@} ;;
  *) seconds=$(date -u -d "$(echo "$mtime" | sed 's/T/ /; s/Z$//; s/+00:00$//')" +%s) ;;
esac
