# Makes the image that the other scripts run in, without half of its files: nothing reads them.
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/repo/apt.conf
for unread in doc man locale nodejs/core-js nodejs/@types nodejs/es-abstract \
    nodejs/caniuse-lite nodejs/lodash-es; do
    echo "path-exclude=/usr/share/$unread*"
done > /etc/dpkg/dpkg.cfg.d/unread
apt-get update -q
apt-get install -y -q $PACKAGES
apt-get clean
rm -rf /var/lib/apt/lists/*
