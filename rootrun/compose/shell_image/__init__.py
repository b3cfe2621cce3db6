"""Images that are a shell in the environment of a derivation, as nix-shell makes one."""
