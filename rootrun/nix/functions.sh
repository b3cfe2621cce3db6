# What builders have in common.
export PATH="$builderPath${PATH:+:$PATH}"

# Writes the script $1 of the text in $2: for the store's shell, with the store's tools.
script() {
  { printf '#!%s -e\nPATH=%s:$PATH:/bin\nexport PATH\n' "$shell" "$toolsPath"; cat "$2"; } > "$1"
}

# Writes what a command writes, compressed; that a compressor ends well says nothing of it.
write() {
  { "$@" || touch failed; } | $compress > "$out"
  [ ! -e failed ]
}

