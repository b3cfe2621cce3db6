# A plain copy of a set-id file is made with its mode, and then written.
cp /bin/busybox /suid
chmod 4711 /suid
busybox cp /suid /copy
