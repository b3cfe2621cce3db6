# Names of whiteouts have no place in a layer, others like them do.
echo x > /.wh.name
mkdir /.wh.dir
echo x > /.wh.dir/inside
mkdir /s
echo x > /s/.wh..wh..opq
echo kept > /s/wh.kept
