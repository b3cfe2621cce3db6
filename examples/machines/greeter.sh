# Builds versions 1.0 and 2.0 of a package: a daemon with an account and a configuration file.
for version in 1.0 2.0; do
    root=/tmp/greeter
    mkdir -p $root/DEBIAN $root/etc/init.d $root/usr/sbin /srv

    cat > $root/usr/sbin/greeter <<END
#!/usr/bin/perl
use IO::Socket::INET;
open my \$file, '<', '/etc/greeter.conf' or die;
my \$greeting = <\$file>;
my \$socket = IO::Socket::INET->new(LocalPort => 7000, Listen => 5, ReuseAddr => 1) or die;
while (my \$peer = \$socket->accept) { print \$peer "greeter $version: \$greeting"; close \$peer }
END
    echo "welcome to $version" > $root/etc/greeter.conf

    cat > $root/etc/init.d/greeter <<'END'
#!/bin/sh -e
same="--pidfile /run/greeter.pid --user greeter"
case $1 in
    start) start-stop-daemon --start $same --chuid greeter --make-pidfile --background \
        --startas /usr/sbin/greeter ;;
    stop) start-stop-daemon --stop $same --oknodo --retry 10 --remove-pidfile ;;
    restart) $0 stop; $0 start ;;
esac
END

    cat > $root/DEBIAN/control <<END
Package: greeter
Version: $version
Architecture: all
Maintainer: Nobody <nobody@example.org>
Depends: perl-base
Description: says hello
END
    printf '%s\n' /etc/greeter.conf /etc/init.d/greeter > $root/DEBIAN/conffiles
    cat > $root/DEBIAN/postinst <<'END'
#!/bin/sh -e
id greeter >/dev/null 2>&1 || useradd --system --shell /usr/sbin/nologin greeter
/etc/init.d/greeter restart
END
    printf '#!/bin/sh -e\n/etc/init.d/greeter stop\n' > $root/DEBIAN/prerm
    chmod 755 $root/usr/sbin/greeter $root/etc/init.d/greeter $root/DEBIAN/p*

    dpkg-deb --build --root-owner-group $root /srv
done
