# Makes a Debian into the image of the examples: a web server, a database, an sshd, a supervisor.
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf
apt-get update -q
apt-get install -y -q --no-install-recommends curl nginx-light postgresql openssh-server runit
apt-get clean
