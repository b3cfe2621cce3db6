# Accounts and groups are made, changed and removed; shadow keeps its owner and mode.
export SOURCE_DATE_EPOCH=86400
groupadd --system web
groupadd -g 3000 crew
useradd --system --gid web --home-dir /var/web --create-home web
useradd -m -s /bin/bash -G crew,web alice
useradd -m -u 4000 -K UMASK=027 bob
usermod -aG crew bob
usermod -d /home/robert -m -l robert bob
groupmod -g 3001 crew
echo 'alice:$6$salt$hash' | chpasswd -e
passwd -q -l web
chage -M 90 -I 10 -d 2020-01-01 alice
chfn -f Alice alice
chsh -s /bin/sh alice
gpasswd -a robert web
{
    chage -l alice
    passwd -S alice
    id alice
    id web
    id robert
    stat -c '%n %U:%G %a' /etc/passwd /etc/shadow* /etc/group /etc/gshadow* /home/* /var/web
    pwck -r || echo "pwck: $?"
    grpck -r || echo "grpck: $?"
} > /said 2>&1
userdel -r robert
rm -f /var/log/faillog /var/log/lastlog
