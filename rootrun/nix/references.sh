# Leaves out what mentions the others. Of each path there are its own line, three lines on it, and
# the number of its references, which follow.
awk -v without="$without" '
  !left { kept = $0 != without; left = 5 }
  left == 1 && !counted { left += $0; counted = 1 }
  { if (kept) print; if (!--left) counted = 0 }
' "$registration" > "$out"
