# A user may not change owners, ids and privileges, nor make devices.
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
as_alice 'chown alice /file'
as_alice 'touch /home/alice/mine; chown root /home/alice/mine'
as_alice 'chgrp crew /home/alice/mine'
as_alice 'mknod /home/alice/null c 1 3'
as_alice 'touch /etc/nothing'
as_alice 'truncate -s 0 /file'
as_alice 'chage -M 5 alice'
as_alice 'crontab -u postgres -l'
as_alice 'python3 -c "import os; os.setuid(0)"'
as_alice 'python3 -c "import os; os.setgroups([0])"'
as_alice 'setpriv --reuid=0 id'
as_alice 'setcap cap_net_raw+ep /bin/true'
