# buildNixShellImage and streamNixShellImage: a shell in the environment of a derivation's builder.
context:
let
  inherit (context) checked fileName makeOverridable;

  streamNixShellImage = makeOverridable (
    {
      drv,
      name ? "${drv.name}-env",
      tag ? null,
      uid ? 1000,
      gid ? 1000,
      homeDirectory ? "/build",
      shell ? context.shell,
      command ? null,
      run ? null,
    }@arguments:
    let
      usrBinEnv = if context.coreutils == null then "" else "${context.coreutils}/bin/env";
      closure = context.references (fileName name) [
        (builtins.toJSON drv.drvAttrs)
        shell
        usrBinEnv
      ];
      stream = context.runCommand "stream-${fileName name}" {
        inherit closure homeDirectory usrBinEnv;
        inherit (context) builderPath shell program;
        # The file of the derivation, and not what it builds.
        derivation = builtins.unsafeDiscardOutputDependency drv.drvPath;
        inImage = shell;
        nameAndTag = "${withName.imageName}:${withName.imageTag}";
        uid = toString uid;
        gid = toString gid;
        command = if command == null then "" else command;
        run = if run == null then "" else run;
        bundle = if context.cacert == null then "" else context.bundle;
      } (context.builder ./shell-image.sh + builtins.readFile ./stream.sh);
      withName = context.withPassthru stream {
        inherit name tag;
        named = closure;
        passthru = {
          isExe = true;
          buildArgs = arguments;
        };
      };
    in
    checked [
      {
        assertion = !(drv.drvAttrs.__structuredAttrs or false);
        message = "image ${name}: drv: ${drv.name}: has structured attributes, which no shell can be given";
      }
      {
        assertion = command == null || run == null;
        message = "image ${name}: command and run: only one of them may be given";
      }
    ] withName
  );

  buildNixShellImage = makeOverridable (
    {
      drv,
      compressor ? "gz",
      ...
    }@arguments:
    context.compressed {
      inherit compressor;
      name = arguments.name or "${drv.name}-env";
      stream = streamNixShellImage (removeAttrs arguments [ "compressor" ]);
    }
  );
in
{
  inherit streamNixShellImage buildNixShellImage;
}
