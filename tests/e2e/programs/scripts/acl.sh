# Default ACLs that name other ids are inherited by what is made below.
{
    mkdir /acl
    setfacl -d -m u:3333:rwx,g:postgres:rx /acl
    touch /acl/f
    mkdir /acl/d
    su postgres -c 'touch /tmp/mine; setfacl -m u:www-data:rw /tmp/mine'
    getfacl -pn /acl /acl/f /acl/d /tmp/mine
} > /said 2>&1
