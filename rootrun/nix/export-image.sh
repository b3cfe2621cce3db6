# The builder of exportImage.
set -- export "$fromImage" --no-cache -o "$out"
[ -z "$fromRef" ] || set -- "$@" --from-ref "$fromRef"
rootrun "$@"
