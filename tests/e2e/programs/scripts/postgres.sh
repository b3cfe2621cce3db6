# initdb refuses root and checks owners; the server runs, and knows its peers.
cd /tmp
export LC_ALL=C
{
    /usr/lib/postgresql/15/bin/initdb /tmp/no || echo "$?"
    mkdir /srv/data
    chown postgres:postgres /srv/data
    su postgres -c '/usr/lib/postgresql/15/bin/initdb --no-sync -A peer /srv/data' > /dev/null
    start='/usr/lib/postgresql/15/bin/pg_ctl -w -D /srv/data -o "-c listen_addresses="'
    su postgres -c "$start -l /srv/data/log start" > /dev/null || cat /srv/data/log
    su postgres -c 'psql -At -c "select current_user, 6 * 7"'
    psql -At -U postgres -c 'select 1' || echo "$?"
    su postgres -c "$start stop" > /dev/null
} 2>&1 | sed 's/"[^"]*socket[^"]*"//; s/psql: error: .*FATAL/FATAL/' > /said
# A cluster has an identity of its own; of its files names, owners and modes are the same.
rm -rf /srv/data/pg_wal/* /srv/data/pg_stat*/*
find /srv /var/log -type f -exec truncate -s 0 {} +
