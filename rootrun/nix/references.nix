# The paths of the store that texts and paths mention, and all that these refer to.
{
  runCommand,
  toolsPath,
  closureInfo,
}:
rec {
  # A file that mentions them, so that Nix itself finds what is meant.
  mentioning =
    name: mentioned:
    runCommand "${name}-mentions" {
      text = builtins.concatStringsSep "\n" (map (one: "${one}") mentioned);
      passAsFile = [ "text" ];
      PATH = toolsPath;
    } ''cat "$textPath" > "$out"'';

  closureOf = name: mentioned: closureInfo { rootPaths = [ (mentioning name mentioned) ]; };
}
