# sudo, a setuid program of the base, for root and for a user; it refuses wrong owners.
export SOURCE_DATE_EPOCH=86400
echo 127.0.1.1 rootrun >> /etc/hosts
useradd -m -s /bin/sh alice
groupadd -g 3000 extra
usermod -aG extra alice
mkdir -m 777 /place
cd /place
{
    sudo -u alice id
    sudo -u alice -g extra id
    sudo -u alice touch by-alice
    sudo -u '#1234' id || echo "$?"
    su alice -c 'sudo -n id' || echo "$?"
    echo 'alice ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/alice
    chmod 440 /etc/sudoers.d/alice
    su alice -c 'sudo -n id; sudo -n touch by-root; sudo -n -u www-data sh -c "id; touch by-www"'
    su alice -c 'sudo -n sh -c "echo \$SUDO_USER \$SUDO_UID"'
    chown alice /etc/sudoers.d/alice
    su alice -c 'sudo -n id' || echo "$?"
} > /said 2>&1
rm -r /run/sudo
