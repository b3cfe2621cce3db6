# Owners of all kinds of files, new ones and the base's, and of names as well as numbers.
mkdir /home /home/alice
echo x > /home/alice/file
chown -R 1000:1000 /home/alice
touch /testfile
chown 12345:12345 /testfile
chown app:extra /old/file
chgrp 7 /old/dir
ln -s nowhere /dangling
chown -h 8:9 /dangling
mkfifo /new-pipe
chown 65534:65534 /new-pipe
touch /highest
chown 65535:65535 /highest
stat -c '%n %u:%g %a' /home/alice /home/alice/file /testfile /old/* /dangling /new-pipe > /said
