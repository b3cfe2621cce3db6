"""The layers of dockerTools' buildImage, as far as they are no matter of what changed.

From mkPureLayer and mkRootLayer of nixpkgs: tar 1.34 with ``--hard-dereference --sort=name`` of
the directory with the changes.
"""

from rootrun.layer.gnu_header import GNU
from rootrun.layer.policy import LayerShape

DOCKERTOOLS = LayerShape(
    name="dockertools", tar_format=GNU, mixes_whiteouts=True, has_root=True, has_all_copies=True
)
