# cp -a, rsync -a, tar, cpio, install and mv carry owners, modes, links and devices along.
export SOURCE_DATE_EPOCH=86400
mkdir -p /src/d
cd /src
echo a > a
echo b > b
echo c > d/c
ln -s a link
ln a hard
mkfifo pipe
mknod null c 1 3
mknod disk b 7 300
chown 1:2 a
chown postgres:postgres b
chown 4:5 d
chown 1000:70 d/c
chown -h 7:8 link
chown 5:6 null disk
chown 9:9 pipe
chmod 4755 b
chmod 2775 d
chmod 1640 d/c
touch -h -d @1000 -- * d/* .
cp -a /src /copy
rsync -aHADX /src/ /rsync/
rsync -a --chown=www-data:daemon /src/ /rsync-chown/
tar -cf /src.tar .
tar -tvf /src.tar > /said
for options in p -numeric-owner -no-same-owner; do
    mkdir /tar-$options
    tar -C /tar-$options -$options -xf /src.tar
done
tar --owner=nobody:2222 --group=3333 -cf /given.tar a b
mkdir /given
tar -C /given --numeric-owner -xf /given.tar
install -o postgres -g 70 -m 4710 a /installed
install -d -o 12 -g 13 -m 2750 /installed.d/sub
cp -p --preserve=all b /preserved
cp --no-preserve=all b /plain
mv /copy/d /moved
rm /src.tar /given.tar
find /src /copy /rsync* /tar* /given /moved /installed* /preserved /plain \
    -printf '%p %y %U:%G %m %n %l\n' | sort >> /said
