# The new layer of an image that is made, as buildImage exposes it: layer.tar, json, VERSION.
context: name: image: compression:
context.runCommand "docker-layer-${context.fileName name}"
  {
    inherit image;
    inherit (context) builderPath;
    decompress = compression.decompress;
  }
  ''
    export PATH="$builderPath''${PATH:+:$PATH}"
    $decompress < "$image" | tar xf -
    top=$(sed 's/.*:"\([0-9a-f]*\)"}}$/\1/' repositories)
    mkdir "$out"
    mv "$top"/layer.tar "$top"/json "$top"/VERSION "$out"
  ''
