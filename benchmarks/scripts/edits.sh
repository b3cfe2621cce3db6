# A few edits among many files.
echo edited >>/etc/motd
if [ -d /srv/many ]; then
    for number in 1 2 3; do
        echo edited >>/srv/many/$number/$((number * 200 + 1))
        rm /srv/many/$number/$((number * 200 + 2))
        chmod 600 /srv/many/$number/$((number * 200 + 3))
    done
else
    rm "$(find /usr/share -type f | sort | head -n 1)"
fi
