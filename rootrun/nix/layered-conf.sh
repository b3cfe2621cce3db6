# The builder of a layered image's conf: what rootrun layered reads.
mkdir "$out"
cp "$configTextPath" "$out/config.json"
cp "$closure" "$out/closure"
[ ! -s "$pipelinePath" ] || cp "$pipelinePath" "$out/pipeline.json"
[ -z "$registered" ] || cp "$registered" "$out/registration"
if [ -s "$extraCommandsPath" ] || [ -s "$fakeRootCommandsPath" ]; then
  cp "$candidates" "$out/candidates"
fi
[ ! -s "$extraCommandsPath" ] || script "$out/extraCommands" "$extraCommandsPath"
[ ! -s "$fakeRootCommandsPath" ] || script "$out/fakeRootCommands" "$fakeRootCommandsPath"
