"""The emulation of a root who may own files to others, where a single uid is mapped."""
