# crontab, a setgid program: users have their tables in a directory of root's.
useradd -m -s /bin/sh alice
printf '# m h\n5 4 * * * /bin/true\n' > /tmp/table
{
    crontab -u alice /tmp/table
    su alice -c 'crontab -l'
    su alice -c 'printf "1 2 3 4 * /bin/false\n" | crontab -'
    crontab -l -u alice
    su postgres -c 'printf "1 2 3 4 * /bin/echo\n" | crontab -; crontab -l'
    su www-data -s /bin/sh -c 'crontab -l' || echo "$?"
    stat -c '%n %u:%g %a' /var/spool/cron/crontabs /var/spool/cron/crontabs/*
} > /said 2>&1
# The tables say when they were installed, shadow says the day.
sed -i '/^# (/d' /var/spool/cron/crontabs/*
sed -i 's/^\(alice:[^:]*:\)[0-9]*/\11/' /etc/shadow
rm -f /tmp/table /var/log/faillog /var/log/lastlog
