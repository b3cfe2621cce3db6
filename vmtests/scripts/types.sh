# Each type takes the place of each other one.
rm /old/file && mkdir /old/file && echo x > /old/file/inside
rm -r /old/dir && echo file > /old/dir
rm /old/link && mkdir /old/link
rm -r /tree/one && ln -s two /tree/one
rm /old/other && ln -s ../etc /old/other
rm /tree/two/f && mkfifo /tree/two/f
rm -r /deep && mkfifo /deep
rm /pipe && mkdir /pipe
rm /old/hard1 && ln -s hard2 /old/hard1
