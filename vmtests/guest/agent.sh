# Pid 1 of a guest. It reads requests from the virtio port "control", one a line:
#   TIMEOUT_S BASE64-OF-A-SHELL-SCRIPT
# and answers each with the line (the dots keep empty fields apart)
#   STATUS BASE64-OF-STDOUT. BASE64-OF-STDERR.
# The request QUIT powers off.
B=/vmagent/busybox
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
$B mkdir -p /dev/pts /dev/shm
$B mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
$B mount -t tmpfs -o mode=1777 tmpfs /dev/shm
$B mount -t tmpfs -o mode=755 tmpfs /run
$B mkdir -p /run/vm /run/lock
$B mount -t tmpfs -o mode=1777 tmpfs /tmp
$B mount -t cgroup2 cgroup2 /sys/fs/cgroup
$B ln -s /proc/self/fd /dev/fd
$B ln -s /proc/self/fd/0 /dev/stdin
$B ln -s /proc/self/fd/1 /dev/stdout
$B ln -s /proc/self/fd/2 /dev/stderr
$B hostname vm
$B ifconfig lo 127.0.0.1 up
for port in /sys/class/virtio-ports/*; do
    read -r name < "$port/name"
    [ "$name" = control ] && control=/dev/${port##*/}
done
exec 3<>"$control"
echo "READY $($B uname -r)" >&3
while read -r timeout request <&3; do
    case "$timeout" in QUIT)
        $B sync
        $B poweroff -f
        ;;
    esac
    printf %s "$request" | $B base64 -d > /run/vm/request
    # /bin/sh by its path: busybox would take "sh" for its own applet.
    $B timeout -s KILL "$timeout" /bin/sh /run/vm/request \
        > /run/vm/stdout 2> /run/vm/stderr < /dev/null 3>&-
    printf '%s %s. %s.\n' "$?" "$($B base64 -w0 < /run/vm/stdout)" \
        "$($B base64 -w0 < /run/vm/stderr)" >&3
done
$B poweroff -f
