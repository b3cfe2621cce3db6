# setcap and getcap, setfacl and getfacl, and what chown, cp and mv do to capabilities.
{
    cp /bin/true /t
    setcap cap_net_raw+ep /t
    getcap /t
    chown 5:6 /t
    getcap /t
    setcap cap_net_bind_service,cap_chown=eip /t
    getcap -r /t /usr/bin
    cp -a /t /copy
    getcap /copy
    setcap -r /t
    getcap /t
    mv /copy /moved
    chmod 700 /moved
    getcap /moved
    cp /bin/true /written
    setcap cap_setuid=p /written
    echo >> /written
    getcap /written
    setfacl -m u:postgres:rw,g:www-data:r /moved
    getfacl -p /moved
    cp -a /moved /with-acl
    getfacl -pn /with-acl
    chmod 700 /with-acl
    getfacl -pn /with-acl
    setfacl -b /moved
    getfacl -pn /moved
    capsh --print | grep -E '^(Current|uid|gid|groups)'
    setpriv --dump
} > /said
