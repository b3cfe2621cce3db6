# mknod makes devices that are seen, copied, linked, archived and removed as such.
mkdir /devices
cd /devices
mknod null c 1 3
mknod -m 660 sda b 8 0
mkfifo pipe
mknod -m 600 big c 4095 1048575
chown root:disk sda
chgrp tty null
mv null moved
ln sda linked
cp -a sda copied
rm linked
touch -d @1000 -- * .
{
    stat -c '%n %F %t %T %u:%g %a %h' -- *
    tar -cf - . | tar -tvf - | sort
    [ -c moved ] && [ -b sda ] && [ -p pipe ] && [ ! -e linked ] && echo all
    mknod sda b 8 0 || echo "$?"
} > /said 2>&1
