# Devices, block and character, with owners and modes, at new places and the base's.
mkdir /made
mknod /made/null c 1 3
mknod -m 660 /made/disk b 7 300
mknod /made/high c 511 4095
chown 5:6 /made/disk
mv /made/null /made/zero
ln /made/zero /made/other
rm /base-dev/null
mknod /base-dev/sda b 8 0
cp -a /base-dev/tty /made/tty
mkfifo -m 622 /made/pipe
