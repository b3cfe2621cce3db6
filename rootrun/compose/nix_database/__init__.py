"""The database of a Nix store (schema 10), made and merged without Nix."""
