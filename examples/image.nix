# An image with one more layer, made by a script in Nix's own sandbox:
#   pkgs.callPackage ./image.nix { base = ./base.tar; script = ./setup.sh; }
{
  runCommand,
  rootrun,
  base,
  script,
  name ? "image",
  options ? "",
  attributes ? { },
}:
runCommand "${name}.tar" ({ nativeBuildInputs = [ rootrun ]; } // attributes) ''
  rootrun --from ${base} --script ${script} --name ${name} --no-cache -o $out ${options}
''
