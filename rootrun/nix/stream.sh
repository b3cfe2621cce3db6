# The end of the builder of a script: it runs the program with the words of $@, the mtime in
# $seconds, and what the script is given itself.
{
  echo "#!$shell"
  printf 'exec %s' "$program"
  for word in "$@"; do
    printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
  done
  printf ' --timestamp %s "$@"\n' "$seconds"
} > "$out"
chmod 755 "$out"
