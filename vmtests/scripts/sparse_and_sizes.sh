# Contents at the edges of tar's blocks, holes, truncation and appending in place.
for size in 0 1 511 512 513 1024 10240 65537; do
    head -c $size /dev/zero | tr '\0' x > /size-$size
done
dd if=/dev/zero of=/hole bs=1 count=1 seek=3000000 2> /dev/null
echo end >> /hole
printf X | dd of=/old/big bs=1 seek=70000 conv=notrunc 2> /dev/null
dd if=/dev/null of=/old/file bs=1 seek=2 2> /dev/null
printf more >> /old/other
