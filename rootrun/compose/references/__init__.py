"""Paths of a store that a layer mentions, added to it with all that they need."""
