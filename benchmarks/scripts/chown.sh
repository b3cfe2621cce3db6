# Gives away $FILES files that the script made, then as many of the base, and says how long it took.
took() {
    what=$1
    shift
    start=$(date +%s%N)
    "$@"
    end=$(date +%s%N)
    echo "took $what $((end - start))"
}
mkdir /new
cd /new
seq -f 'd%g' 100 | xargs mkdir
perl -e 'open $f, ">", "d" . ($_ % 100 + 1) . "/$_" or die for 1 .. $ENV{FILES}'
took new chown -R 1:1 /new
find /tree/many > /dev/null
took base chown -R 1:1 /tree/many
