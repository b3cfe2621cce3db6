"""What a switch can be asked for: the same words on both sides."""

PLUG, UNPLUG, SET_LINK, PARTITION, SHAPE, LEAVE, END = (
    *("plug", "unplug", "set link", "partition"),
    *("shape", "leave", "end"),
)
