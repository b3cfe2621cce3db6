# ACLs that name other ids are set, shown, copied and inherited by what is made below.
{
    mkdir /acl
    setfacl -d -m u:3333:rwx,g:postgres:rx /acl
    touch /acl/f
    mkdir /acl/d
    su postgres -c 'touch /tmp/mine; setfacl -m u:www-data:rw /tmp/mine'
    su www-data -s /bin/sh -c 'setfacl -m u:www-data:rw /tmp/mine' || echo $?
    getfacl -pn /acl /acl/f /acl/d /tmp/mine
    cp /bin/true /file
    setfacl -m u:postgres:rw,g:www-data:r /file
    getfacl -p /file
    cp -a /file /with-acl
    getfacl -pn /with-acl
    chmod 700 /with-acl
    getfacl -pn /with-acl
    setfacl -b /file
    getfacl -pn /file
} > /said 2>&1
