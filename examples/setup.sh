#!/bin/sh -e
# What a Dockerfile's RUN would do, as root of the image.
mkdir -p /srv/www
echo "hello from $(id -u)" > /srv/www/index.html
chmod 0750 /srv/www
ln -s /srv/www /var-www
rm /etc/motd
