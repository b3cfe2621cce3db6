# The builder of buildImage. What is not set here is an attribute of the derivation.

# A tag comes from the output's path, as imageTag does.
hash=${out##*/}
set -- --name "$imageName" --tag "${imageTag:-${hash%%-*}}" --config "$configTextPath"
set -- "$@" --created "$created" --owner "$owner" --references "$candidates"
set -- "$@" --no-cache --squash -o -
[ -z "$fromImage" ] || set -- "$@" --from "$fromImage"
[ -z "$fromRef" ] || set -- "$@" --from-ref "$fromRef"
[ -z "$platform" ] || set -- "$@" --arch "$platform"

# The image's history has the names of what was brought in: names of links, not of the store.
number=0
for item in $items; do
  number=$((number + 1))
  ln -s "$item" "content-$number"
  set -- "$@" --copy "content-$number:/"
done
[ -z "$copyDirlinks" ] || set -- "$@" --copy-dirlinks
[ -z "$registered" ] || { ln -s "$registered" registration; set -- "$@" --nix-db registration; }

if [ -n "$hasRunAsRoot" ]; then
  script runAsRoot "$runAsRootPath"
  set -- "$@" --script runAsRoot
fi
if [ -s "$extraCommandsPath" ]; then
  script extraCommands "$extraCommandsPath"
  set -- "$@" --script extraCommands
fi
if [ -z "$items$hasRunAsRoot" ] && [ ! -s "$extraCommandsPath" ]; then
  mkdir nothing  # a layer of its own it has all the same
  set -- "$@" --copy nothing:/
fi

write rootrun "$@" --bind "$store:$store:ro"
