# A script that looks at what it did: owners, modes and devices are what chown and chmod made them.
must_be() {
    found=$(stat -c "$2" "$1")
    [ "$found" = "$3" ] || { echo "$1: $2: $found, not $3" >&2; exit 1; }
}
touch /f
chown 1234:5678 /f
must_be /f %u:%g 1234:5678
chown postgres /f
must_be /f %U:%g postgres:5678
chgrp www-data /f
must_be /f %u:%G "$(id -u postgres):www-data"
chown 0 /f
must_be /f %u 0
mkdir /d
chown -R 5:6 /d
must_be /d %u:%g 5:6
chmod 6755 /f
must_be /f %a 6755
chown 7 /f
must_be /f %a 755
must_be /etc/shadow %U:%G:%a root:shadow:640
must_be /usr/bin/crontab %U:%G:%a root:crontab:2755
must_be /usr/bin/passwd %a 4755
must_be /var/lib/postgresql %U:%G postgres:postgres
must_be /var/mail %G:%a mail:2775
must_be /tmp %a 1777
mknod /n c 1 3
must_be /n '%F %t,%T' 'character special file 1,3'
chown 8:9 /n
must_be /n %u:%g 8:9
mkdir /inherits
chgrp 77 /inherits
chmod 2775 /inherits
touch /inherits/f
mkdir /inherits/d
must_be /inherits/f %u:%g 0:77
must_be /inherits/d %g:%a 77:2755
must_be /inherits %g:%a 77:2775
[ -O /etc/passwd ]
[ ! -O /var/lib/postgresql ]
[ -u /usr/bin/passwd ]
[ -g /usr/bin/crontab ]
{
    find /var/lib /etc -xdev -maxdepth 4 -user postgres -printf '%p %g\n' | sort
    find /usr/bin /usr/sbin /usr/lib/openssh /var -xdev -maxdepth 3 -perm /6000 -printf '%p %m %u:%g\n' | sort
    perl -e '@s = stat "/var/lib/postgresql"; print "@s[4, 5] $< $> $( $)\n"'
    python3 -c 'import os; s = os.stat("/etc/shadow"); print(s.st_gid, os.getresuid())'
} > /said
