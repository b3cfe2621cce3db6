# buildLayeredImage and streamLayeredImage: the paths of a closure in layers of their own.
context:
let
  inherit (context)
    runCommand
    checked
    fileName
    itemsOf
    withPassthru
    makeOverridable
    ;

  # Arguments of both; those of rootrun are words, the rest is for the file conf.
  streamLayeredImage = makeOverridable (
    {
      name,
      tag ? null,
      fromImage ? null,
      contents ? [ ],
      config ? { },
      architecture ? null,
      variant ? null,
      created ? "1970-01-01T00:00:01Z",
      mtime ? "1970-01-01T00:00:01Z",
      uid ? 0,
      gid ? 0,
      uname ? null, # as the ids have them: root, or none
      gname ? null,
      maxLayers ? 100,
      extraCommands ? "",
      fakeRootCommands ? "",
      enableFakechroot ? false, # what these commands see as / is the image in any case
      includeStorePaths ? true,
      includeNixDB ? false,
      layeringPipeline ? null,
      debug ? false,
      passthru ? { },
      meta ? { },
    }@arguments:
    let
      items = itemsOf contents;
      configText = builtins.toJSON (if config == null then { } else config);
      closure = context.references (fileName name) (items ++ [ configText ]);
      candidates = context.references "${fileName name}-scripts" [
        extraCommands
        fakeRootCommands
        context.shell
        context.toolsPath
      ];
      conf = runCommand "${fileName name}-conf" {
        inherit
          configText
          extraCommands
          fakeRootCommands
          closure
          candidates
          ;
        inherit (context) builderPath shell toolsPath;
        registered =
          if includeNixDB then "${context.closureInfo { rootPaths = items; }}/registration" else "";
        pipeline = if layeringPipeline == null then "" else builtins.toJSON layeringPipeline;
        passAsFile = [
          "configText"
          "extraCommands"
          "fakeRootCommands"
          "pipeline"
        ];
      } (context.builder ./layered-conf.sh);
      stream = runCommand "stream-${fileName name}" {
        fromImage = if fromImage == null then "" else fromImage;
        inherit
          items
          conf
          created
          mtime
          ;
        inherit (context) builderPath shell program;
        nameAndTag = "${withName.imageName}:${withName.imageTag}";
        platform = context.platform architecture variant;
        owner = if uid == 0 && gid == 0 then "" else "${toString uid}:${toString gid}";
        maxLayers = if layeringPipeline == null then toString maxLayers else "";
        noStorePaths = if includeStorePaths then "" else "yes";
        verbose = if debug then "yes" else "";
        store = builtins.storeDir;
      } (context.builder ./layered-stream.sh + builtins.readFile ./stream.sh);
      withName = withPassthru stream {
        inherit name tag meta;
        named = conf;
        passthru = passthru // {
          inherit conf;
          isExe = true;
          buildArgs = arguments;
        };
      };
    in
    checked [
      {
        assertion = maxLayers > 1;
        message = "image ${name}: maxLayers: ${toString maxLayers}: must be more than 1, as one layer is for what is not in the store";
      }
    ] withName
  );

  buildLayeredImage = makeOverridable (
    {
      name,
      compressor ? "gz",
      meta ? { },
      ...
    }@arguments:
    let
      stream = streamLayeredImage (removeAttrs arguments [ "compressor" ]);
    in
    context.compressed {
      inherit
        stream
        name
        compressor
        meta
        ;
    }
  );
in
{
  inherit streamLayeredImage buildLayeredImage;
  buildLayeredImageWithNixDb =
    arguments: buildLayeredImage ({ includeNixDB = true; } // arguments);
}
