"""What reads most command lines gives what argparse gives, for each line that it takes."""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from rootrun.cli.any_words import read_any_words
from rootrun.cli.commands import MAIN
from rootrun.cli.grammar import Command, Option
from rootrun.cli.plain_words import read_plain_words
from rootrun.cli.subcommands import SUBCOMMANDS
from rootrun.errors import UsageError

_COMMANDS = [MAIN, *SUBCOMMANDS.values()]
_OPTIONS = [
    pytest.param(command, option, id=f"{command.name or 'main'} {option.name}")
    for command in _COMMANDS
    for option in command.options
]
_VALUES = [
    *("auto", "none", "root", "list", "bash", "1", "80", "1M", "30s", "now", "K=V", "/a:/b", "/a"),
    *("a", "a:b", "a=b", "-", "", " ", "a b", "-a", "--", "-1", "- a", "--from", "oci:a", "{}"),
    *("/dev/null", "amd64", "[]", f"sha256:{64 * '0'}"),
]


class _Attributes:
    """Where values are put."""


def _read(command: Command, words: list[str], *, is_plain: bool) -> object:
    """Return the attributes, or the error as it is told; None where the words are not plain."""
    options = _Attributes()
    try:
        if not is_plain:
            read_any_words(command, words, options, see_help="see")
        elif not read_plain_words(command, words, options):
            assert not vars(options)
            return None
    except UsageError as error:
        return str(error), error.hint
    return vars(options)


def _words(command: Command) -> st.SearchStrategy[list[str]]:
    flags = [flag for option in command.options for flag in option.flags]
    values = st.sampled_from(_VALUES) | st.text(max_size=3)
    flag = st.sampled_from(flags)
    word = (
        flag
        | values
        | st.builds("{}={}".format, flag, values)
        | st.builds("{}{}".format, flag, values)
    )
    fitting = st.one_of(
        *(_fitting(option) for option in command.options),
        *([values.map(lambda value: [value])] if command.positional else []),
    )
    chunks = st.lists(fitting | word.map(lambda word: [word]), max_size=5)
    return chunks.map(lambda found: [word for words in found for word in words])


def _fitting(option: Option) -> st.SearchStrategy[list[str]]:
    flag = st.sampled_from(option.flags)
    if not option.metavar:
        return flag.map(lambda name: [name])
    value = st.sampled_from(option.choices or _VALUES)
    return st.builds(lambda name, text: [name, text], flag, value) | st.builds(
        lambda name, text: [f"{name}={text}"], flag, value
    )


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command.name or "main")
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_plain_words_mean_what_argparse_says(command: Command, data: st.DataObject) -> None:
    words = data.draw(_words(command))
    got = _read(command, words, is_plain=True)
    event("not plain" if got is None else "plain" if isinstance(got, dict) else "error")
    assert got is None or got == _read(command, words, is_plain=False)


@pytest.mark.parametrize(("command", "option"), _OPTIONS)
def test_each_option_is_plain_as_it_is_declared(command: Command, option: Option) -> None:
    arguments = [] if command.positional is None else [*command.positional.choices, "a"][:1]
    for flag in option.flags:
        forms = [[flag, flag]]
        if option.metavar:
            forms = [[f"{option.name}={value}", flag, value] for value in option.choices or _VALUES]
        read = [_read(command, [*form, *arguments], is_plain=True) for form in forms]
        assert any(isinstance(values, dict) for values in read)


@pytest.mark.parametrize(
    "words",
    [
        *(["-qv"], ["-eA=1"], ["--env"], ["--env", "-x"], ["--env="], ["-e=A"], ["a"], ["--no"]),
        *(["--no-cache=1"], ["--name=--"], ["--bogus"], ["-"], ["--tag", "--json"], [""]),
    ],
    ids=" ".join,
)
def test_what_is_rare_or_wrong_is_left_to_argparse(words: list[str]) -> None:
    assert _read(MAIN, words, is_plain=True) is None


@pytest.mark.parametrize("words", [[], ["a", "b"]], ids=["none", "two"])
def test_a_positional_argument_is_plain_once(words: list[str]) -> None:
    assert _read(SUBCOMMANDS["export"], words, is_plain=True) is None
    assert isinstance(_read(SUBCOMMANDS["export"], ["a"], is_plain=True), dict)
