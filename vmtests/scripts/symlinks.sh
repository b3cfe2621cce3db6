# Links keep their words: relative, absolute, dangling, to themselves, long and empty ways.
ln -s ../etc/passwd /tree/relative
ln -s /etc/passwd /tree/absolute
ln -s gone /tree/dangling
ln -s self /tree/self
ln -s "$(printf '%0300d' 1)" /tree/long
ln -s ./a/../b//c/ /tree/odd
ln -sfn /tree /old/link
rm /link-to-dir
ln -s tree /link-to-dir
echo through > /link-to-dir/written
