"""What stands behind the fixtures of ``rootrun.pytest_plugin``."""

from rootrun.testing.plugin.image_factory import ImageFactory
from rootrun.testing.plugin.machine_factory import MachineFactory, NetworkFactory

__all__ = ["ImageFactory", "MachineFactory", "NetworkFactory"]
