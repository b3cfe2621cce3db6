# The root directory itself is changed.
chmod 711 /
