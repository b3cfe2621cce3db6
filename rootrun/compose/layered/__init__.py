"""Images of many layers, made of the paths of a store (dockerTools' buildLayeredImage)."""
