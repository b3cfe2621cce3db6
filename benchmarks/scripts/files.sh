# Writes 2,000 files of 4 KiB and deletes 500 of the base.
mkdir /srv-new
block=$(seq 1000)
number=0
while [ $number -lt 2000 ]; do
    echo "$block" >/srv-new/$number
    number=$((number + 1))
done
find /usr/share -type f | sort | head -n 500 >/tmp/doomed
xargs rm </tmp/doomed
rm /tmp/doomed
