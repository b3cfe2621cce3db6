# Looks at each of the many files of the base, and says how long it took.
start=$(date +%s%N)
find /tree -ls > /dev/null
end=$(date +%s%N)
echo "took ls $((end - start))"
start=$(date +%s%N)
find / -xdev -printf '%u\n' > /dev/null
end=$(date +%s%N)
echo "took printf $((end - start))"
