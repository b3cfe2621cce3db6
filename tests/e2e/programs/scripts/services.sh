# Daemons of root that work as somebody else: sshd, nginx, dbus and cron.
export SOURCE_DATE_EPOCH=86400
useradd -m -s /bin/sh alice
exec > /said 2>&1
fetch='import urllib.request; print(urllib.request.urlopen("http://127.0.0.1/made").read())'
nginx
su www-data -s /bin/sh -c 'echo made > /tmp/made; chmod 640 /tmp/made'
mv /tmp/made /var/www/html/
python3 -c "$fetch"
stat -c '%n %U:%G %a' /var/lib/nginx/* /var/log/nginx/*
nginx -s stop 2> /dev/null

su alice -c 'ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519'
install -o alice -g alice -m 600 /home/alice/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys
ssh-keygen -A > /dev/null
mkdir -p /run/sshd
/usr/sbin/sshd -o PidFile=/run/sshd.pid
login='ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR alice@127.0.0.1'
su alice -c "$login 'id; pwd; touch by-ssh; stat -c %U:%G by-ssh'"
su alice -c "echo sent | $login 'cat > sent'"
chown www-data /home/alice/.ssh/authorized_keys
su alice -c "$login id" || echo "$?"
kill "$(cat /run/sshd.pid)"

mkdir -p /run/dbus
dbus-daemon --system --fork --nopidfile --print-pid=3 3> /run/dbus-pid
ask='dbus-send --system --print-reply=literal --dest=org.freedesktop.DBus /'
ask="$ask org.freedesktop.DBus.GetConnectionUnixUser string:org.freedesktop.DBus"
$ask
su alice -c "$ask"
kill "$(cat /run/dbus-pid)"
# Keys are random, logs have times.
rm -rf /run/sshd.pid /run/dbus-pid /run/dbus /run/nginx.pid /var/lib/dbus/machine-id
find /etc/ssh /home/alice/.ssh /var/log -type f -exec truncate -s 0 {} +
