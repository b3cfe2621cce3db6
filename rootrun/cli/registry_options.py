"""The options of the commands that talk to registries."""

from rootrun.cli import image_values, values
from rootrun.cli.grammar import Group, Option, switch
from rootrun.cli.options import ARCHITECTURE, FROM_REF

_OS = Option(("--os",), "operating system of the image [linux]", "OS", values.parse_word)
_CONNECTION = (
    switch("--no-tls-verify", text="take any certificate, and plain HTTP"),
    Option(("--cert-dir",), "certificates: *.crt, *.cert, *.key", "DIR", values.parse_path),
    Option(("--authfile",), "credentials, as of skopeo login", "FILE", values.parse_path),
)
FETCH = Group("Registry", (_OS, ARCHITECTURE, *_CONNECTION))
PUSH = Group("Image and registry", (FROM_REF, ARCHITECTURE, *_CONNECTION))

ALLOW_TAG = switch("--allow-tag", text="take a name without a digest")
PREFETCHED = Group(
    "Image",
    (
        Option(("--image-name",), "in place of NAME", "NAME", values.parse_word),
        Option(("--image-tag",), "in place of TAG [latest]", "TAG", image_values.parse_bare_tag),
        Option(("--image-digest",), "in place of DIGEST", "DIGEST", image_values.parse_digest),
        Option(("--final-image-name",), "name in the archive [NAME]", "NAME", values.parse_word),
        Option(("--final-image-tag",), "tag there [TAG]", "TAG", image_values.parse_bare_tag),
    ),
)
