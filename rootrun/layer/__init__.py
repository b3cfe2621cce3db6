"""Layers: tar and trees, and nothing of namespaces or images."""
