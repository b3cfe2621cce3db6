# Deleted and made again, in all the ways that hide what is below.
rm /old/file
rm -r /old/dir
rm -rf /deep
mkdir /deep
echo new > /deep/n
mkdir /deep/a
echo y > /deep/a/y
rm -r /tree/one
mkdir /tree/one
rm /etc/group
echo > /etc/group.new
rmdir /empty
rm /link-to-dir
