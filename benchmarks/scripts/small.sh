# A little of everything that only root may do. What fails is left undone: the result is compared.
set +e
mkdir -p /srv/small
cd /srv/small
echo file > file
chown 1234:5678 file
echo group > group
chgrp mail group
chmod 2640 group
cp /bin/true setuid
chown daemon setuid
chmod 4755 setuid
cp /bin/true setuid-root
chmod 4711 setuid-root
mknod null c 1 3
mknod disk b 7 300
chown 0:disk disk
mkfifo pipe
chown 9:9 pipe
ln -s file link
chown -h 7:8 link
install -o www-data -g daemon -m 640 file installed
install -d -o daemon -g mail -m 2775 spool
touch spool/inherits
mkdir -m 700 home
chown www-data:www-data home
su -s /bin/sh www-data -c 'cd /srv/small/home && echo mine > own && chmod 600 own && mkdir d'
tar --owner=5:5 --group=6:6 -cf /tmp/t.tar file group
mkdir unpacked
tar -C unpacked -xpf /tmp/t.tar
cp -a file copied
useradd --system --no-create-home --shell /bin/false benchmark
chown benchmark copied
chown -R 42:43 home
exit 0
