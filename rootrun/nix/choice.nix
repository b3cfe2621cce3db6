# The words of rootrun for choices that dockerTools has in two arguments.
{
  # Which of several images in fromImage: both are needed, as in the file.
  fromRef =
    image: name: tag:
    if (name == null) != (tag == null) then
      throw "rootrun: image ${image}: fromImageName and fromImageTag: both are needed to pick an image"
    else if name == null then
      ""
    else
      "${name}:${tag}";

  # An architecture and its variant; none is the base's, or the machine's.
  platform =
    architecture: variant:
    if architecture == null then
      ""
    else if variant == null || variant == "" then
      architecture
    else
      "${architecture}/${variant}";
}
