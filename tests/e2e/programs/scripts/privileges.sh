# A user has no power over the machine and the processes of root.
export SOURCE_DATE_EPOCH=86400
useradd -m -s /bin/sh alice
groupadd -g 3000 crew
mkdir -m 700 /closed
mkdir -m 1777 /sticky
touch /closed/file /sticky/file /file
chmod 640 /file
as_alice() {
    setpriv --reuid=alice --regid=alice --init-groups sh -c "$1" && echo "$1: worked" || echo "$1: $?"
}
exec > /said 2>&1
as_alice 'kill -0 1'
as_alice 'chroot / true'
as_alice 'hostname other'
as_alice 'mount -t tmpfs none /home/alice'
as_alice 'unshare -m true'
as_alice 'python3 -c "import socket; socket.socket().bind((\"\", 80))"'
