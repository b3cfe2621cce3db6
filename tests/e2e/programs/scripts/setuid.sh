# Programs with the setuid or setgid bit, of the base and new ones, give their rights to users.
export SOURCE_DATE_EPOCH=86400
useradd -m -s /bin/sh alice
echo 'alice:old-Secret1' | chpasswd -s 5000 -c SHA256
cp /usr/bin/id /usr/local/bin/root-id
chmod 4755 /usr/local/bin/root-id
cp /usr/bin/id /usr/local/bin/shadow-id
chgrp shadow /usr/local/bin/shadow-id
chmod 2755 /usr/local/bin/shadow-id
{
    su alice -c 'printf "old-Secret1\nnew-Secret2x\nnew-Secret2x\n" | passwd'
    su alice -c root-id
    su alice -c shadow-id
    su alice -c 'cp /usr/bin/id /tmp/alice-id; chmod 6755 /tmp/alice-id'
    stat -c '%U:%G %a' /tmp/alice-id
    /tmp/alice-id
    su www-data -s /bin/sh -c /tmp/alice-id
    python3 -c 'import os; os.setresuid(33, 0, 33); print(os.getresuid())'
} > /said 2>&1
# The hash is salted.
sed -i 's/^\(alice:\)[^:]*:[0-9]*/\1x:1/' /etc/shadow /etc/shadow-
