"""Command lines as nearly all are, read without argparse.

What is read here gets the values that argparse would give it; tests compare the two.
"""

from collections.abc import Iterator, Sequence

from rootrun.cli.grammar import Command, Option
from rootrun.cli.values import checked


def read_plain_words(command: Command, words: Sequence[str], options: object) -> bool:
    """Set the attributes of ``options`` as ``words`` say, and say whether they are plain.

    Plain are the flags as they are declared, each with its value as the next word or behind
    ``=``, and a positional argument where the command has one. If there is anything else, no
    attribute is set. Raises UsageError for a value that cannot be, the first from the left.
    """
    pairs = list(_pairs(command, iter(words)))
    rows = [row for row, _ in pairs]
    positional = command.positional
    if None in rows or (positional and not positional.takes_words(rows.count(positional))):
        return False
    for row in (*command.options, *([positional] if positional else [])):
        setattr(options, row.key, [] if row.action == "append" else row.default)
    for found, text in pairs:
        assert found is not None
        _set(options, found, text)
    return True


def _pairs(command: Command, words: Iterator[str]) -> Iterator[tuple[Option | None, str]]:
    """Yield the rows that ``words`` name, with their values; None for what is not plain."""
    named = {flag: row for row in command.options for flag in row.flags}
    for word in words:
        if not word.startswith("-"):
            yield command.positional, word
            continue
        flag, _, value = word.partition("=")
        row = named.get(flag)
        if row is None:
            yield None, word
        elif row.metavar and flag == word:
            value = next(words, "-?")
            # What begins with a dash may be a flag; argparse has rules for it.
            yield None if value.startswith("-") and value != "-" else row, value
        else:  # with a value behind = where there is to be one, and only there
            # argparse drops a value of two dashes.
            is_plain = value not in ("", "--") if row.metavar else flag == word
            # Behind a short flag the = would be a part of the value, in some versions of Python.
            yield row if is_plain and (flag == word or flag.startswith("--")) else None, value


def _set(options: object, row: Option, text: str) -> None:
    if row.action == "store_true":
        setattr(options, row.key, True)
    elif row.action == "count":
        setattr(options, row.key, getattr(options, row.key) + 1)
    else:
        label = row.name if row.name.startswith("-") else row.metavar
        value = checked(label, row.parse)(text)
        if row.action == "append":
            getattr(options, row.key).append(value)
        else:
            setattr(options, row.key, value)
