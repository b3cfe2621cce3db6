"""A SQLite file without what depends on the library that wrote it (sqlite.org/fileformat2.html).

Which rows are on which page was the same for all versions of SQLite that were tried, 3.40 to 3.50,
where rows and indexes are written in order. Where they are on it, what is left in the parts that
nothing uses, and the header, was not.
"""

from rootrun.namedtuple import NamedTuple

PAGE_BYTES = 4096
_FIXED = {  # by their offsets in the header of the file (1.3)
    18: b"\1\1",  # written and read with a rollback journal: a WAL wants a writable directory
    24: (1).to_bytes(4, "big"),  # how often the file was changed
    40: (1).to_bytes(4, "big"),  # how often the schema was
    92: (1).to_bytes(4, "big"),  # of which number at 24 the next one is told
    96: (3_008_000).to_bytes(4, "big"),  # the version of SQLite that wrote it last
}
_FILE_HEADER_BYTES = 100  # on the first page, before that of the page
_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13  # pages (1.6)
_LEAST_CELL_BYTES = 4
_CHILD_BYTES = 4  # of the number of a page
# How much of a row or key is on the page itself, the rest being on pages of its own (1.6).
_MOST_OF_ROW = PAGE_BYTES - 35
_MOST_OF_KEY = (PAGE_BYTES - 12) * 64 // 255 - 23
_LEAST = (PAGE_BYTES - 12) * 32 // 255 - 23


def normalized(database: bytes, roots: list[int]) -> bytes:
    """Return the SQLite file ``database``, of pages of PAGE_BYTES, laid out in one way.

    ``roots`` are the numbers of the pages where its trees begin. Nothing was ever deleted in it.
    """
    fixed = bytearray(database)
    for offset, value in _FIXED.items():
        fixed[offset : offset + len(value)] = value
    waiting = list(roots)
    while waiting:
        page = _Page(fixed, waiting.pop())
        waiting += page.children()
        page.lay_out()
    return bytes(fixed)


class _Page(NamedTuple):
    """A page of a tree in a file."""

    content: bytearray  # of the file
    number: int

    @property
    def start(self) -> int:
        return (self.number - 1) * PAGE_BYTES

    @property
    def header(self) -> int:
        return self.start + (_FILE_HEADER_BYTES if self.number == 1 else 0)

    @property
    def kind(self) -> int:
        return self.content[self.header]

    @property
    def is_interior(self) -> bool:
        return self.kind in (_INDEX_INTERIOR, _TABLE_INTERIOR)

    @property
    def pointers(self) -> range:
        """Where the pointers to the cells are, two bytes each."""
        begin = self.header + (12 if self.is_interior else 8)
        return range(begin, begin + 2 * self.int_at(self.header + 3, 2), 2)

    def int_at(self, offset: int, size: int) -> int:
        return int.from_bytes(self.content[offset : offset + size], "big")

    def children(self) -> list[int]:
        """Return the numbers of the pages below."""
        if not self.is_interior:
            return []
        cells = [self.start + self.int_at(pointer, 2) for pointer in self.pointers]
        return [self.int_at(offset, _CHILD_BYTES) for offset in (self.header + 8, *cells)]

    def lay_out(self) -> None:
        """Put the cells to the end of the page, the first one last, and zeros before them."""
        cells = [self._cell(self.start + self.int_at(pointer, 2)) for pointer in self.pointers]
        end = PAGE_BYTES
        for pointer, cell in zip(self.pointers, cells, strict=True):
            end -= len(cell)
            self.content[pointer : pointer + 2] = end.to_bytes(2, "big")
            self.content[self.start + end : self.start + end + len(cell)] = cell
        gap = self.pointers.stop
        self.content[gap : self.start + end] = bytes(self.start + end - gap)
        self.content[self.header + 1 : self.header + 3] = bytes(2)  # no free blocks
        self.content[self.header + 5 : self.header + 7] = end.to_bytes(2, "big")
        self.content[self.header + 7] = 0  # no fragments

    def _cell(self, begin: int) -> bytes:
        after = begin + (_CHILD_BYTES if self.is_interior else 0)
        payload, after = _varint(self.content, after)
        if self.kind == _TABLE_LEAF:
            _, after = _varint(self.content, after)
        if self.kind != _TABLE_INTERIOR:  # there it is the row's number, and all
            after += _bytes_on_page(
                payload, _MOST_OF_ROW if self.kind == _TABLE_LEAF else _MOST_OF_KEY
            )
        return bytes(self.content[begin : max(after, begin + _LEAST_CELL_BYTES)])


def _bytes_on_page(payload: int, most: int) -> int:
    """Return how many bytes of ``payload`` are in the cell, with the number of the next page."""
    if payload <= most:
        return payload
    fitting = _LEAST + (payload - _LEAST) % (PAGE_BYTES - 4)
    return (fitting if fitting <= most else _LEAST) + _CHILD_BYTES


def _varint(content: bytearray, offset: int) -> tuple[int, int]:
    """Return the number at ``offset``, seven bits a byte, and the offset behind it."""
    number = 0
    for position in range(offset, offset + 8):
        number = number << 7 | content[position] & 0x7F
        if content[position] < 0x80:
            return number, position + 1
    return number << 8 | content[offset + 8], offset + 9
