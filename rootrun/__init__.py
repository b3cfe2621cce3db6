"""Run a script as root inside a container image, without root, and write the image back."""

__version__ = "0.1.0"
