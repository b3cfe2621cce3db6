# git refuses the repositories of others, and works as a user, in shared ones and over hard links.
export SOURCE_DATE_EPOCH=86400
export GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000'
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
useradd -m -s /bin/sh alice
git init -q -b main /alice
cd /alice
for n in 1 2 3; do
    mkdir d$n
    echo $n > d$n/f
done
git add .
git commit -q -m one
git tag v1
chown -R alice:alice /alice
{
    git status || echo "$?"
    su alice -c 'cd /alice; git status --porcelain; git log --oneline'
    su -p alice -c 'export HOME=/home/alice; cd /alice; git checkout -q -b new; echo x > d1/x
        git add d1; git commit -q -m two; git gc -q'
    git config --global --add safe.directory /alice
    git config --global --add safe.directory /alice/.git
    git clone -q /alice /clone
    git clone -q --bare --no-local /alice /bare.git
    git init -q --shared=group --bare /shared.git
    chgrp -R www-data /shared.git
    git -C /clone push -q /shared.git new:main
    git -C /clone fsck
    mkdir /archive
    git -C /clone archive v1 | tar -C /archive -xf -
    find /alice /clone /bare.git /shared.git /archive -printf '%u:%g %m %p\n' | sort -k 3
} > /said 2>&1
# An index and a reflog have times in them.
rm -r /alice/.git/index /alice/.git/logs /clone/.git/index /clone/.git/logs
