# One file of 500 MB. Its content takes little time to make.
mkdir -p /srv
yes 'one line of many in a large file' | head -c 500000000 >/srv/big
