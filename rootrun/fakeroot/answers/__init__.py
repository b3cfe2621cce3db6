"""What answers the calls that are asked about, one module for a family of them."""

from rootrun.fakeroot.answers.everything import answers_of

__all__ = ["answers_of"]
