# Files and directories of the base and of the script change their names.
mv /old/file /old/moved
mv /old/dir /moved-dir
mv /tree /forest
mv /forest/two /two
mkdir -p /new/sub
echo x > /new/sub/f
mv /new/sub /new/other
mv /deep/a /deep/b
mkdir /deep/a
echo again > /deep/a/new
mv /old/hard1 /old/hard2
