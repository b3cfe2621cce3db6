# Modes with set-id and sticky bits, and what chown and writing take away from them.
umask 027
mkdir /d /d/sub
echo > /d/f
umask 000
echo > /open
umask 022
chmod 1777 /d
chmod 2755 /d/sub
echo > /d/sub/child
mkdir /d/sub/dir
cp /bin/busybox /suid
chmod 6755 /suid
cp /bin/busybox /given
chmod 4755 /given
chown 5:5 /given
chmod 4755 /old/file
chmod 000 /old/other
chmod u+s /old/suid
stat -c '%n %a' /d /d/* /d/sub/* /open /suid /given /old/* > /said
