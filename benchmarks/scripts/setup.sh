# A small set-up: a user, some configuration.
if command -v useradd >/dev/null; then
    useradd --system --no-create-home --shell /bin/false service
else
    echo 'service:x:999:999::/srv/service:/bin/false' >>/etc/passwd
    echo 'service:x:999:' >>/etc/group
fi
mkdir -p /etc/service /srv/service
for name in main log network; do
    echo "name = $name" >"/etc/service/$name.conf"
done
chmod 640 /etc/service/main.conf
echo 'export SERVICE=/srv/service' >>/etc/profile
