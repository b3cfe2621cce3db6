# closureInfo of nixpkgs, without nixpkgs: the files registration and store-paths of a closure.
{
  shell,
  toolsPath, # with awk, cat, mkdir and sed
  system ? builtins.currentSystem,
}:
{
  rootPaths,
}:
derivation {
  name = "closure-info";
  inherit system;
  builder = shell;
  args = [
    "-euc"
    ''
      PATH=${toolsPath}
      ${builtins.readFile ./closure-info.sh}
    ''
  ];
  # Only these tell hash and size of the paths.
  __structuredAttrs = true;
  exportReferencesGraph.closure = rootPaths;
}
