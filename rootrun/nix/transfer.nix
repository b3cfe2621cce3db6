# mergeImages, exportImage and pullImage.
context:
let
  inherit (context) runCommand fileName;

  # As fetchurl of nixpkgs has them.
  proxies = [
    "http_proxy"
    "https_proxy"
    "ftp_proxy"
    "all_proxy"
    "no_proxy"
  ];
  flat = builtins.replaceStrings [ "/" ":" ] [ "-" "-" ];
in
{
  # An archive with all images, compressed as the last one is.
  mergeImages =
    images:
    runCommand "merge-docker-images" {
      inherit images;
      inherit (context) builderPath;
      gz = (context.compression "merge" "gz").command;
      zstd = (context.compression "merge" "zstd").command;
    } (context.builder ./merge-images.sh);

  # The tree of an image, as a tar.
  exportImage = context.makeOverridable (
    {
      fromImage,
      name ? fromImage.name,
      fromImageName ? null,
      fromImageTag ? null,
      diskSize ? null, # of a virtual machine
    }:
    runCommand (fileName name) {
      inherit fromImage;
      inherit (context) builderPath;
      fromRef = context.fromRef name fromImageName fromImageTag;
    } (context.builder ./export-image.sh)
  );

  # An image of a registry. What it is, its hash says: rootrun prefetch prints all of it.
  pullImage = context.makeOverridable (
    {
      imageName,
      imageDigest,
      sha256 ? "",
      hash ? "",
      os ? "linux",
      arch ? null,
      variant ? null,
      finalImageName ? imageName,
      finalImageTag ? "latest",
      tlsVerify ? true,
      name ? "docker-image-${flat finalImageName}-${flat finalImageTag}.tar",
    }:
    context.checked
      [
        {
          assertion = (sha256 == "") != (hash == "");
          message = "image ${imageName}: hash: one of hash and sha256 is needed";
        }
      ]
      (
        context.withPassthru
          (runCommand name {
            inherit os finalImageTag;
            imageName = finalImageName;
            source = "docker://${imageName}@${imageDigest}";
            platform = context.platform arch variant;
            noVerify = if tlsVerify then "" else "yes";
            builderPath =
              context.builderPath + (if context.skopeo == null then "" else ":${context.skopeo}/bin");
            SSL_CERT_FILE = if context.cacert == null then "" else context.bundle;
            impureEnvVars = proxies;
            outputHash = if hash == "" then sha256 else hash;
            outputHashAlgo = "sha256";
            outputHashMode = "flat";
          } (context.builder ./pull-image.sh))
          {
            name = finalImageName;
            tag = finalImageTag;
          }
      )
  );
}
