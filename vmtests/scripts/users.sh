# Accounts and groups are made, work in a directory of theirs, and leave files of theirs.
echo 'web:x:2001:2001::/srv/www:/bin/sh' >> /etc/passwd
echo 'alice:x:2002:3000::/home:/bin/sh' >> /etc/passwd
printf 'web:x:2001:\ncrew:x:3000:web,alice\n' >> /etc/group
mkdir -p /srv/www
chown web:crew /srv/www
chmod 2770 /srv/www
su web -c 'umask 002; echo mine > /srv/www/index; id > /srv/www/id; mkdir /srv/www/d'
su alice -c 'echo too >> /srv/www/index; rm /srv/www/id; echo hers > /srv/www/hers'
su alice -c 'chmod 600 /srv/www/index' 2> /dev/null || echo refused > /refused
echo 'root:*:1:0:99999:7:::' > /etc/shadow
chmod 640 /etc/shadow
chown root:crew /etc/shadow
id alice > /said
stat -c '%n %U:%G %a' /srv/www/* >> /said
