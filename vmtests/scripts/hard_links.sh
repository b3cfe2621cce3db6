# New links, links to the base's files, and one name of a pair edited.
echo 12 > /a
ln /a /b
ln /a /tree/c
ln /old/file /old/file2
echo new > /old/hard1
ln /bin/busybox /busybox
mkdir /d
ln /b /d/e
rm /b
