# nixpkgs' dockerTools, made by rootrun: the same names and arguments, and no virtual machine.
#
#   dockerTools = pkgs.callPackage ./rootrun/nix { inherit rootrun; };
#
# What is taken from nixpkgs is an argument, so that all of it builds without nixpkgs too.
{
  rootrun, # a package, or the directory whose bin/ has the program
  runCommand, # name: attributes: text of the builder: a derivation
  bash ? null,
  coreutils ? null,
  findutils ? null,
  gawk ? null,
  gnugrep ? null,
  gnused ? null,
  gnutar ? null,
  gzip ? null,
  zstd ? null,
  skopeo ? null, # for pullImage
  cacert ? null, # for pullImage and caCertificates
  shadow ? null, # for shadowSetup
  shell ? "${bash}/bin/bash", # of runAsRoot, extraCommands and fakeRootCommands
  toolsPath ? builtins.concatStringsSep ":" (
    map (package: "${package}/bin") (
      builtins.filter (package: package != null) [
        coreutils
        bash
        findutils
        gawk
        gnugrep
        gnused
        gnutar
        gzip
        zstd
      ]
    )
  ), # of the builders, and before the image's own programs in runAsRoot
  compressors ? { }, # commands from standard input to standard output, in place of these: gz, zstd
  closureInfo ? import ./closure-info.nix { inherit shell toolsPath; },
}:
let
  context = {
    inherit
      rootrun
      runCommand
      shell
      toolsPath
      closureInfo
      coreutils
      shadow
      skopeo
      cacert
      ;
    inherit (import ./names.nix)
      checked
      fileName
      itemsOf
      makeOverridable
      withPassthru
      ;
    inherit (import ./choice.nix) fromRef platform;
    compression = import ./compression.nix compressors;
    compressed = import ./compressed.nix context;
    references = import ./references.nix context;
    layerOf = import ./layer.nix context;
    bundle = "${cacert}/etc/ssl/certs/ca-bundle.crt";
    program = "${rootrun}/bin/rootrun";
    builderPath = "${rootrun}/bin:${toolsPath}";
    builder = file: builtins.readFile ./functions.sh + builtins.readFile file;
  };
in
import ./build-image.nix context
// import ./layered-image.nix context
// import ./shell-image.nix context
// import ./transfer.nix context
// import ./content.nix context
