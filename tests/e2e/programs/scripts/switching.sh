# su, runuser, setpriv and sg change to a user, who sees and owns what that user would.
export SOURCE_DATE_EPOCH=86400
useradd -m -s /bin/sh alice
groupadd -g 3000 extra
usermod -aG extra alice
cat > /show <<'END'
id
id -un
id -G
whoami
touch f."$1"
stat -c '%n %U:%G' f."$1"
END
mkdir -m 777 /place
cd /place
{
    sh /show root
    su alice -c 'sh /show su'
    su - alice -c 'pwd; env | sort; sh /show login'
    su -g extra alice -c 'sh /show group'
    runuser -u alice -- sh /show runuser
    runuser -l alice -c 'sh /show runuser-login'
    setpriv --reuid=alice --regid=extra --clear-groups sh /show cleared
    setpriv --reuid=alice --regid=alice --init-groups --inh-caps=-all sh /show groups
    setpriv --reuid=1234 --regid=5678 --groups=1,2,3 id
    setpriv --ruid=33 --rgid=33 --keep-groups python3 -c 'import os; print(os.getresuid(), os.getresgid())'
    su alice -c 'sg extra "sh /show sg"'
    su alice -c 'cd; umask 077; mkdir -p a/b; touch a/b/c; ln -s c a/b/d; mkfifo a/p'
    su alice -c 'touch mine; chgrp extra mine; stat -c "%U:%G" mine'
    su alice -c 'umask 002; (id; umask) & wait; exec setsid -w id'
    find /place /home -printf '%p %u:%g %m\n' | sort
} > /said 2>&1
