# Some hundred files and directories, as an installation makes them.
n=0
while [ $n -lt 20 ]; do
    mkdir -p /many/d$n/e
    for m in 0 1 2 3 4 5 6 7 8 9; do
        echo "$n $m" > /many/d$n/e/f$m
    done
    n=$((n + 1))
done
chmod -R g-w,o-rx /many/d1*
chown -R 33:33 /many/d2
rm -r /many/d3
