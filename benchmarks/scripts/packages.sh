# Packages with users, services and set-id programs are installed from a repository, without a network.
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/repo/apt.conf
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# No fsync of each file: a disk would be measured. No user of apt's own: some peers have none.
set -- -q -o APT::Sandbox::User=root -o DPkg::Options::=--force-unsafe-io
apt-get "$@" update
apt-get "$@" -y install $PACKAGES
apt-get clean
rm -rf /var/lib/apt/lists/*
