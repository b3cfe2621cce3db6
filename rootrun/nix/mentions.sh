cat "$textPath" > "$out"
