# Makes the image that the other scripts run in.
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/repo/apt.conf
apt-get update -q
apt-get install -y -q $PACKAGES
apt-get clean
rm -rf /var/lib/apt/lists/*
