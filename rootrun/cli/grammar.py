"""What a command line is made of, as data: options, groups of them, commands."""

from collections.abc import Callable
from enum import Enum

from rootrun.cli import values
from rootrun.namedtuple import NamedTuple

_FILES = {"FILE", "IMAGE", "OUTPUT", "PATH[:DST]", "SRC:DST[:ro]"}


class Takes(Enum):
    """What an option's value is, as far as a shell can complete it."""

    NOTHING = "nothing"
    TEXT = "text"
    CHOICE = "choice"
    FILE = "file"
    DIRECTORY = "directory"


class Option(NamedTuple):
    """One option, or one positional argument where the only flag has no dash."""

    flags: tuple[str, ...]  # short one first; a positional argument has its dest
    help: str
    metavar: str = ""  # empty: a switch
    parse: Callable[[str], object] = values.parse_text
    choices: tuple[str, ...] = ()
    default: object = None
    action: str = "store"  # store, append, store_true, count
    dest: str = ""
    shares_row: bool = False  # of the help, with the option before, whose text is for both

    @property
    def name(self) -> str:
        """The long flag, by which messages name the option."""
        return self.flags[-1]

    @property
    def key(self) -> str:
        """The attribute that holds the value."""
        return self.dest or self.name.removeprefix("--").replace("-", "_")

    def takes_words(self, count: int) -> bool:
        """Say whether a positional argument can be so many words: one, any number of ``append``."""
        return self.action == "append" or count == 1

    @property
    def takes(self) -> Takes:
        """What a shell can offer after the option."""
        if not self.metavar:
            return Takes.NOTHING
        if self.choices:
            return Takes.CHOICE
        if self.metavar == "DIR" and self.parse is values.parse_path:
            return Takes.DIRECTORY
        return Takes.FILE if self.metavar in _FILES else Takes.TEXT


class Group(NamedTuple):
    """Options that the help shows under one title."""

    title: str
    options: tuple[Option, ...]

    def named(self, *names: str) -> tuple[Option, ...]:
        """Return the options with these long flags, in their order here."""
        return tuple(option for option in self.options if option.name in names)


def choice(flag: str, metavar: str, *, text: str, choices: tuple[str, ...]) -> Option:
    """Return an option that takes one of ``choices``, the first by default."""
    return Option(
        (flag,),
        f"{text}: {', '.join(choices)}",
        metavar,
        values.one_of(*choices),
        choices=choices,
        default=choices[0],
    )


def switch(*flags: str, text: str) -> Option:
    """Return an option without a value."""
    return Option(flags, text, action="store_true", default=False)


class Command(NamedTuple):
    """A command as its help shows it. The main job's name is empty."""

    name: str
    usage: tuple[str, ...]
    groups: tuple[Group, ...]
    epilog: str = ""
    positional: Option | None = None
    takes_command: bool = False  # behind --, as the main job's does

    @property
    def options(self) -> list[Option]:
        """All options of all groups."""
        return [option for group in self.groups for option in group.options]
