# setcap and getcap, and what chown, cp and mv do to capabilities.
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
    capsh --print | grep -E '^(Current|uid|gid|groups)'
    setpriv --dump | grep -v no_new_privs  # a Nix build has it
} > /said
