# buildImage: a docker-archive with one layer more than its base.
context:
let
  inherit (context)
    runCommand
    checked
    fileName
    itemsOf
    withPassthru
    ;

  buildImage = context.makeOverridable (
    {
      name,
      tag ? null,
      fromImage ? null,
      fromImageName ? null,
      fromImageTag ? null,
      copyToRoot ? null,
      contents ? null,
      keepContentsDirlinks ? false,
      runAsRoot ? null,
      extraCommands ? "",
      config ? null,
      architecture ? null,
      variant ? null,
      uid ? 0,
      gid ? 0,
      created ? "1970-01-01T00:00:01Z",
      compressor ? "gz",
      includeNixDB ? false,
      diskSize ? null, # of a virtual machine, which there is none of
      buildVMMemorySize ? null, # likewise
      meta ? { },
    }@arguments:
    let
      compression = context.compression name compressor;
      items = itemsOf (
        if contents == null then
          copyToRoot
        else
          builtins.trace "rootrun: image ${name}: contents is now copyToRoot" contents
      );
      configText = builtins.toJSON (if config == null then { } else config);
      mentioned = context.references (fileName name) (
        items
        ++ [
          configText
          (if runAsRoot == null then "" else runAsRoot)
          extraCommands
          context.shell
          context.toolsPath
        ]
      );
      image = runCommand "docker-image-${fileName name}.tar${compression.extension}" {
        inherit items configText created;
        fromImage = if fromImage == null then "" else fromImage;
        inherit (context) builderPath shell toolsPath;
        imageName = withName.imageName;
        imageTag = if tag == null then "" else tag;
        fromRef = context.fromRef name fromImageName fromImageTag;
        copyDirlinks = if keepContentsDirlinks then "" else "yes";
        platform = context.platform architecture variant;
        owner = if runAsRoot == null then "${toString uid}:${toString gid}" else "keep";
        runAsRoot = if runAsRoot == null then "" else runAsRoot;
        hasRunAsRoot = if runAsRoot == null then "" else "yes";
        inherit extraCommands;
        store = builtins.storeDir;
        candidates = mentioned;
        registered =
          if includeNixDB then "${context.closureInfo { rootPaths = items; }}/registration" else "";
        compress = compression.command;
        passAsFile = [
          "configText"
          "runAsRoot"
          "extraCommands"
        ];
      } (context.builder ./build-image.sh);
      withName = withPassthru image {
        inherit name tag meta;
        passthru = {
          buildArgs = arguments;
          layer = context.layerOf name image compression;
        };
      };
    in
    checked [
      {
        assertion = contents == null || copyToRoot == null;
        message = "image ${name}: contents and copyToRoot: only one of them may be given";
      }
    ] withName
  );
in
{
  inherit buildImage;
  buildImageWithNixDb = arguments: buildImage ({ includeNixDB = true; } // arguments);
}
