# What is touched, written again, renamed away and back or given back is no change.
cat /etc/passwd > /dev/null
touch /bin/busybox /old/file
cp /old/file /tmp/copy
cat /tmp/copy > /old/file
rm /tmp/copy
mv /old/other /old/x
mv /old/x /old/other
chmod 600 /old/secret
chmod 640 /old/secret
chown 5:6 /old/file
chown 0:0 /old/file
