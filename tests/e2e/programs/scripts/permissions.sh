# Files of others are closed to a user as their modes say, but for reading: nobody is asked about that.
export SOURCE_DATE_EPOCH=86400
useradd -m -s /bin/sh alice
groupadd -g 3000 crew
mkdir -m 700 /closed
mkdir -m 1777 /sticky
touch /closed/file /sticky/file /file
chmod 640 /file
as_alice() {
    setpriv --reuid=alice --regid=alice --init-groups sh -c "$1" && echo "$1: worked" || echo "$1: $?"
}
exec > /said 2>&1
as_alice 'test -w /etc/passwd'
as_alice 'chmod 666 /file'
as_alice 'touch -d @5 /file'
as_alice 'mkdir /made'
as_alice 'mv /file /sticky/moved'
as_alice 'ln /file /home/alice/linked'
as_alice 'rm -f /sticky/file'
