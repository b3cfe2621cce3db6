# start-stop-daemon drops to a user and group, in front and behind.
export SOURCE_DATE_EPOCH=86400
useradd -m -s /bin/sh alice
groupadd -g 3000 extra
usermod -aG extra alice
mkdir -m 777 /place
start='start-stop-daemon --start --chdir /place --pidfile /run/none --startas /bin/sh'
{
    $start --chuid alice:extra -- -c 'id; touch front'
    $start --chuid alice -- -c 'id'
    $start --chuid alice --group extra --background -- -c 'id > back; mkfifo ready; echo > ready'
    until [ -p /place/ready ]; do sleep 0.02; done
    read -r _ < /place/ready
    cat /place/back
} > /said 2>&1
