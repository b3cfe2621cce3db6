# The paths of the store that texts and paths mention, and all that these refer to, as a file: a
# registration, as closureInfo has it.
{
  runCommand,
  closureInfo,
  builder,
  builderPath,
  ...
}:
name: mentioned:
let
  # Nix itself finds what is meant, where it looks at what is built.
  mentions = runCommand "${name}-mentions" {
    inherit builderPath;
    text = builtins.concatStringsSep "\n" (map (one: "${one}") mentioned);
    passAsFile = [ "text" ];
  } (builder ./mentions.sh);
in
runCommand "${name}-closure" {
  inherit builderPath;
  registration = "${closureInfo { rootPaths = [ mentions ]; }}/registration";
  without = "${mentions}";
} (builder ./references.sh)
