# tar and cpio bring owners and modes along, and so does cp.
mkdir /src /src/d
echo 1 > /src/a
echo 2 > /src/d/b
ln -s a /src/l
ln /src/a /src/h
chown -R 70:80 /src/d
chmod 711 /src/a
chmod 1700 /src/d
chmod 6700 /src/d/b
tar -cf /src.tar -C /src .
mkdir /out
tar -xpf /src.tar -C /out
mkdir /out2
cd /src
busybox cpio -o -H newc > /src.cpio 2> /dev/null << END
a
d
d/b
l
END
cd /out2
busybox cpio -idm < /src.cpio 2> /dev/null
rm /src.tar /src.cpio
cp -a /src /copy
cp -p /src/d/b /preserved
chown 0:0 /preserved
chmod 6755 /preserved
cp -p /preserved /preserved2
stat -c '%n %u:%g %a %h' /out/* /out/d/* /out2/* /copy/* /copy/d/* > /said
