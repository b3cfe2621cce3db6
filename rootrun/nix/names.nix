# What all kinds of images have in common: their names, and what is exposed beside the derivation.
let
  letters = text: builtins.genList (position: builtins.substring position 1 text) 26;
  toLower = builtins.replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
    letters "abcdefghijklmnopqrstuvwxyz"
  );
  hashOf = derivation: builtins.substring 0 32 (baseNameOf (builtins.unsafeDiscardStringContext "${derivation}"));

  # Have f's result take other arguments later: result.override { tag = "2"; }.
  makeOverridable =
    f: arguments:
    let
      result = f arguments;
    in
    result
    // {
      override =
        others:
        makeOverridable f (
          arguments // (if builtins.isFunction others then others arguments else others)
        );
    };
in
{
  inherit makeOverridable;

  # The name of a file or a derivation: an image's is a path with a registry before it.
  fileName = name: baseNameOf name;

  # A path, or a list of paths, as paths of the store.
  itemsOf =
    value:
    map (item: "${item}") (
      if value == null then
        [ ]
      else if builtins.isList value then
        value
      else
        [ value ]
    );

  # Value, unless one of the rules, { assertion, message }, is broken.
  checked =
    rules: value:
    builtins.foldl' (
      rest: rule: if rule.assertion then rest else throw "rootrun: ${rule.message}"
    ) value rules;

  # The derivation with what is known of its image. Without a tag that is the hash of named.
  withPassthru =
    derivation:
    {
      name,
      tag,
      named ? derivation,
      passthru ? { },
      meta ? { },
    }:
    let
      own = passthru // {
        imageName = toLower name;
        imageTag = if tag != null then tag else hashOf named;
      };
    in
    derivation
    // own
    // {
      passthru = (derivation.passthru or { }) // own;
      meta = (derivation.meta or { }) // meta;
    };
}
