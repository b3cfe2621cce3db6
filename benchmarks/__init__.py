"""Measurements: rootrun beside the floor, in one run, as ratios."""
