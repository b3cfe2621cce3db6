# What a stream writes, as a file.
context:
{
  stream,
  name,
  compressor,
  meta ? { },
}:
let
  compression = context.compression name compressor;
in
context.withPassthru
  (context.runCommand "${context.fileName name}.tar${compression.extension}" {
    inherit stream;
    inherit (context) builderPath;
    compress = compression.command;
  } (builtins.readFile ./functions.sh + "write \"$stream\" --no-cache\n"))
  {
    inherit name meta;
    tag = stream.imageTag;
    passthru = {
      inherit stream;
      inherit (stream) buildArgs;
    };
  }
