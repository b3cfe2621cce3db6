#!/bin/sh
# What a script sees of its world is the same for every root.
set -e
{
    env | sort | grep -v -E '^(_|PWD|SHLVL|OLDPWD)='
    pwd
    umask
    id
    hostname
    for name in fd stdin stdout stderr; do readlink "/dev/$name"; done
    for name in null zero full random urandom tty; do
        stat -c '%n %F %a %t:%T' "/dev/$name"
    done
    ifconfig lo | sed -n 's/.*\(inet addr:[0-9.]*\).*/\1/p'
    cat /proc/sys/kernel/ostype
    head -c 1 < /dev/null | wc -c
    stat -c '%n %u:%g %a' /old/* /base-dev / /tmp /root
} > /said
