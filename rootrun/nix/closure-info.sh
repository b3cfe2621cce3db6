# Nix 2.8 names a file of the host in NIX_ATTRS_JSON_FILE, and has it here as well.
attributes=.attrs.json
[ -e "$attributes" ] || attributes=$NIX_ATTRS_JSON_FILE
out=$(sed -n 's/.*"outputs":{"out":"\([^"]*\)".*/\1/p' "$attributes")
mkdir "$out"
# Of each path an object of strings, numbers and a list, with the graph's members by name.
awk '
  function text(member, name) {
    if (!match(member, "\"" name "\":(\"[^\"]*\"|[0-9]+)")) return ""
    member = substr(member, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
    gsub(/"/, "", member)
    return member
  }
  {
    while (match($0, /[{][^{}]*"narHash":[^{}]*[}]/)) {
      one = substr($0, RSTART, RLENGTH)
      $0 = substr($0, RSTART + RLENGTH)
      list = one
      sub(/.*"references":\[/, "", list)
      sub(/\].*/, "", list)
      count = list == "" ? 0 : split(list, references, ",")
      print text(one, "path")
      print text(one, "narHash")
      print text(one, "narSize")
      print text(one, "deriver")
      print count
      for (number = 1; number <= count; number++) {
        gsub(/"/, "", references[number])
        print references[number]
      }
      print text(one, "path") > paths
    }
  }
' paths="$out/store-paths" "$attributes" > "$out/registration"
