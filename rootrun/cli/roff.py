"""Plain text of our manual page, for machines without man(1): the few macros that it uses."""

import re
import textwrap
from collections.abc import Iterator

_WIDTH = 78
_BODY = 7
_TAGGED_BODY = 14
_EXAMPLE = 11
_ESCAPES = {r"\-": "-", r"\(aq": "'", r"\(dq": '"', r"\(ti": "~", r"\(ha": "^", r"\e": "\\"}
_ESCAPE = re.compile(r"\\\(..|\\[-&e]|\\f[BIR]")


def plain_text(page: str) -> str:
    """Return ``page``, written with SH, SS, PP, TP, EX and EE of man(7), as text."""
    return "".join(f"{line}\n" for line in _Renderer().render(page))


class _Renderer:
    """One pass over a page. Text is gathered until a macro ends its paragraph."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._indent = _BODY
        self._is_tag_next = False
        self._is_example = False

    def render(self, page: str) -> Iterator[str]:
        for line in page.splitlines():
            if line.startswith((".", "'")):
                yield from self._macro(line)
            elif self._is_example:
                yield " " * _EXAMPLE + _unescape(line)
            elif self._is_tag_next:
                self._is_tag_next = False
                yield " " * _BODY + _unescape(line)
            else:
                self._words.append(_unescape(line))
        yield from self._end_paragraph()

    def _macro(self, line: str) -> Iterator[str]:
        macro, _, rest = line.partition(" ")
        if macro in (".TH", '.\\"'):
            return
        yield from self._end_paragraph()
        self._is_example = macro == ".EX"
        if macro == ".SH":
            self._indent = _BODY
            yield from ("", _unescape(rest.strip('"')))
        elif macro == ".SS":
            self._indent = _BODY
            yield from ("", "   " + _unescape(rest.strip('"')))
        elif macro == ".TP":
            self._indent = _TAGGED_BODY
            self._is_tag_next = True
            yield ""
        elif macro == ".PP":
            self._indent = _BODY
            yield ""

    def _end_paragraph(self) -> Iterator[str]:
        yield from textwrap.wrap(
            " ".join(self._words),
            _WIDTH,
            initial_indent=" " * self._indent,
            subsequent_indent=" " * self._indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
        self._words.clear()


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[0], ""), text)
