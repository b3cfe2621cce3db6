# A root that becomes others meets their limits, and its own rights at the files of all.
mkdir -m 700 /closed
echo x > /closed/f
chown 2000:2000 /closed
su app -c 'cat /closed/f' 2> /dev/null && echo wrong > /wrong
cat /closed/f > /read
su app -c 'touch /tmp/of-app; mkdir /tmp/dir-of-app; ln -s x /tmp/link-of-app'
su app -c 'rm -f /old/secret' 2> /dev/null || echo kept > /kept
su app -c 'id; groups' > /said
chown app /old/dir
su app -c 'echo x > /old/dir/of-app; chmod 600 /old/dir/of-app'
echo by-root > /old/dir/of-app
