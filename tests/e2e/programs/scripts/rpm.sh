# rpmbuild, rpm and dnf: files of others, with set-id bits and capabilities, and their verification.
export SOURCE_DATE_EPOCH=86400
mkdir /tmp/build
cd /tmp/build
cat > thing.spec <<'END'
Name: thing
Version: 1
Release: 1
Summary: Files of others
License: MIT
AutoReqProv: no
Provides: /bin/sh
%description
Files of others.
%pre
getent group things > /dev/null || groupadd -r things
getent passwd thing > /dev/null || useradd -r -g things thing
%install
mkdir -p %{buildroot}/srv/thing/d %{buildroot}/usr/bin
echo a > %{buildroot}/srv/thing/a
echo b > %{buildroot}/srv/thing/d/b
cp /usr/bin/id %{buildroot}/usr/bin/thing-id
cp /bin/true %{buildroot}/usr/bin/thing-true
ln -s a %{buildroot}/srv/thing/l
%files
%dir %attr(2750, thing, things) /srv/thing
%dir %attr(0777, news, tty) /srv/thing/d
%attr(0640, postgres, www-data) /srv/thing/a
%attr(4711, news, things) /srv/thing/d/b
%attr(6755, root, things) /usr/bin/thing-id
%caps(cap_net_raw=ep) /usr/bin/thing-true
/srv/thing/l
%post
stat -c '%n %U:%G %a' /srv/thing /srv/thing/* /srv/thing/d/b > /post
END
{
    rpmbuild -bb --quiet -D '_topdir /tmp/build' -D '_buildhost host' \
        -D 'clamp_mtime_to_source_date_epoch 1' -D 'use_source_date_epoch_as_buildtime 1' \
        -D '_build_id_links none' -D '__os_install_post %{nil}' thing.spec > /dev/null
    package=$(echo RPMS/*/*.rpm)
    rpm -qp --qf '[%{FILENAMES} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:octal}\n]' $package
    rpm -i --nodeps $package
    rpm -V --nodeps thing
    thing-id
    chown nobody /srv/thing/a
    rpm -V --nodeps thing || echo "$?"
    rpm --setperms thing
    rpm --setugids thing
    rpm -V --nodeps thing
    rpm -e --nodeps thing
    ls /srv
    dnf -q -y --releasever=1 --disablerepo='*' --setopt=cachedir=/tmp/build/cache \
        --setopt=logdir=/tmp/build --setopt=persistdir=/tmp/build/persist \
        install ./$package > /dev/null
    rpm -V --nodeps thing
    getcap /usr/bin/thing-true
} > /said 2>&1
# Both remember when they did what.
rm -rf /tmp/build /var/lib/rpm /root/.rpmdb /var/lib/dnf /var/log /var/cache/dnf /root/.cache
