# How a whole archive is compressed, by the name of the compressor; layers never are inside of it.
commands:
let
  by = extension: command: {
    inherit extension command;
    decompress = "${command} -dc";
  };
  known = {
    none = by "" "cat" // {
      decompress = "cat";
    };
    gz = by ".gz" (commands.gz or "gzip -n");
    zstd = by ".zst" (commands.zstd or "zstd -q -T0");
  };
  allowed = builtins.concatStringsSep ", " (map (name: ''"${name}"'') (builtins.attrNames known));
in
image: compressor:
known.${compressor}
  or (throw "rootrun: image ${image}: compressor: \"${compressor}\": is none of ${allowed}")
