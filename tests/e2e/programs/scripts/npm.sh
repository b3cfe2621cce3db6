# npm packs a package and installs it for root and for a user; its scripts run as they should.
export SOURCE_DATE_EPOCH=86400
export npm_config_offline=true npm_config_audit=false npm_config_fund=false
export npm_config_update_notifier=false npm_config_loglevel=silent
useradd -m -s /bin/sh alice
mkdir -p /tmp/thing/bin
cd /tmp/thing
cat > package.json <<'END'
{
    "name": "thing",
    "version": "1.0.0",
    "bin": {"thing": "bin/thing.js"},
    "scripts": {"postinstall": "id > installed-by"}
}
END
cat > bin/thing.js <<'END'
#!/usr/bin/env node
const fs = require("fs");
const [path, uid, gid] = process.argv.slice(2);
fs.chownSync(path, Number(uid), Number(gid));
const status = fs.statSync(path);
console.log(process.getuid(), process.geteuid(), process.getgroups(), status.uid, status.gid);
END
npm pack > /dev/null
for place in root alice; do
    mkdir /srv/$place
    echo '{"name": "app", "version": "1.0.0"}' > /srv/$place/package.json
    chown -R $place:$place /srv/$place
done
touch /file
{
    cd /srv/root
    npm install /tmp/thing/thing-1.0.0.tgz
    npm install -g /tmp/thing/thing-1.0.0.tgz
    thing /file 12 34
    su -p alice -c 'export HOME=/home/alice; cd /srv/alice; npm install /tmp/thing/thing-1.0.0.tgz
        touch mine; node_modules/.bin/thing mine 1000 1000'
    find /srv /usr/local/lib/node_modules -printf '%p %u:%g %m\n' | sort
} > /said 2>&1
rm -rf /tmp/thing /root/.npm /home/alice/.npm /tmp/v8-compile-cache* /tmp/node-*
