# The builder of mergeImages.
for last in $images; do :; done
case $(head -c 4 "$last" | od -An -tx1 | tr -d ' \n') in
  1f8b*) compress=$gz ;;
  28b52ffd) compress=$zstd ;;
  *) compress=cat ;;
esac
write rootrun merge $images -o -
