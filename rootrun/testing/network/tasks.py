"""What a switch can be asked for: the same words on both sides."""

PLUG, SET_LINK, PARTITION, SHAPE, LEAVE, END = (
    *("plug", "set link", "partition"),
    *("shape", "leave", "end"),
)
