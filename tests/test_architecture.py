"""The shape of the code: who imports whom, who may do what, how long things are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import rootrun

_PACKAGE = Path(rootrun.__file__).parent
_CHECKOUT = _PACKAGE.parent
_MODULES = sorted(_PACKAGE.rglob("*.py"))
_SOURCES = sorted(
    path
    for folder in ("rootrun", "tests", "vmtests", "benchmarks", "examples")
    for path in (_CHECKOUT / folder).rglob("*.py")
)

_VALUES = {"errors", "request", "result", "progress"}
_FORMATS = {"image", "layer"}
_EVERYWHERE = {
    *("annotation", "errors", "dataclass", "log", "namedtuple", "sha256", "__version__"),
}
# What each part may import, itself and these aside.
_MAY_IMPORT = {
    "annotation": set[str](),
    "errors": set[str](),
    "dataclass": set[str](),
    "log": set[str](),
    "namedtuple": set[str](),
    "layer": set[str](),
    "sha256": set[str](),
    "image": {"layer"},
    "sandbox": set[str](),
    "fakeroot": {"layer", "sandbox"},
    "store": {"layer"},
    "request": {*_FORMATS},
    "result": {"image"},
    "progress": set[str](),
    "rootfs": {*_VALUES, *_FORMATS, "store", "sandbox"},
    "compose": {*_VALUES, *_FORMATS, "store", "sandbox", "fakeroot", "rootfs"},
    "plan": {*_VALUES, *_FORMATS, "store", "sandbox", "rootfs", "compose"},
    "extra_script": {"plan", *_VALUES, "sandbox"},
    "attempt": {
        *("extra_script", "plan", *_VALUES, *_FORMATS),
        *("sandbox", "rootfs", "compose"),
    },
    "check": {"attempt", "plan", *_VALUES, *_FORMATS, "sandbox", "rootfs", "compose"},
    "step_inputs": {"plan", *_VALUES, *_FORMATS, "sandbox", "fakeroot", "compose"},
    "step_cache": {
        *("step_inputs", "plan", *_VALUES, *_FORMATS),
        *("store", "sandbox", "rootfs", "compose"),
    },
    "steps": {
        *("attempt", "check", "step_cache", "plan", *_VALUES, *_FORMATS),
        *("sandbox", "compose"),
    },
    "pipeline": {"steps", "plan", *_VALUES, *_FORMATS, "sandbox", "rootfs", "compose"},
    "layered": {"pipeline", "steps", "plan", *_VALUES, *_FORMATS, "sandbox", "rootfs", "compose"},
    "places": {*_VALUES},
    "testing": {
        *("attempt", "pipeline", "places", "plan", "steps", *_VALUES, *_FORMATS),
        *("fakeroot", "store", "sandbox", "rootfs", "compose"),
    },
    "cli": {
        *("layered", "pipeline", "places", "testing", *_VALUES, *_FORMATS),
        *("store", "sandbox", "compose"),
    },
    "pytest_plugin": {"loading", "testing"},
    "loading": set[str](),
    "__main__": {"cli", "loading"},
}

_LAZY = {
    *("asyncio", "backports", "bz2", "compression", "dataclasses", "importlib.metadata"),
    *("isal", "logging", "lzma", "typing"),
    *("multiprocessing", "psutil", "pyroute2", "shutil", "subprocess", "tarfile", "tempfile"),
    *("threading", "traceback", "unittest", "urllib", "zstandard"),
}
_FORKS = re.compile(
    r"os\.(fork|forkpty|exec[lv]\w*|posix_spawnp?|spawn\w+|system|popen)$|pty\.|subprocess\."
)
_MAX_LINES = 300
_MAX_FUNCTION_LINES = 50
_MAX_PARAMETERS = 6


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(nodes: Iterator[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def _part(path: Path) -> str:
    """Return the part of the package that a module belongs to: its folder, or its own name."""
    first, *rest = path.relative_to(_PACKAGE).parts
    return first if rest else first.removesuffix(".py")


def _holds(imported: str, names: set[str]) -> bool:
    return any(imported == name or imported.startswith(f"{name}.") for name in names)


def _top_level(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements that run at import, those of conditions and classes too."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # it never runs
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            yield from _top_level(node.body)


def _name(path: Path) -> str:
    return path.relative_to(_CHECKOUT).as_posix()


def test_imports_point_down() -> None:
    for path in _MODULES:
        part = _part(path)
        imported = {
            name.split(".")[1]
            for name in _imports(ast.walk(_tree(path)))
            if name.startswith("rootrun.")
        }
        above = imported - {part, *_EVERYWHERE} - _MAY_IMPORT.get(part, set())
        assert not above, f"{_name(path)} imports {above}"


def test_heavy_modules_are_imported_where_they_are_needed() -> None:
    for path in _MODULES:
        at_start = _imports(_top_level(_tree(path).body))
        heavy = {name for name in at_start if _holds(name, _LAZY)}
        assert not heavy, f"{_name(path)} imports {heavy} at module level"


def test_kernel_calls_are_made_in_one_place() -> None:
    for path in set(_MODULES) - set((_PACKAGE / "sandbox" / "syscalls").iterdir()):
        imported = _imports(ast.walk(_tree(path)))
        kernel = {name for name in imported if _holds(name, {"ctypes", "prctl", "_prctl"})}
        assert not kernel, f"{_name(path)} imports {kernel}"


def test_processes_are_started_by_the_sandbox() -> None:
    for path in _MODULES:
        started = [call for call in _calls(_tree(path)) if _FORKS.match(call)]
        assert not started or _part(path) == "sandbox", f"{_name(path)} calls {started}"


def test_printing_and_exiting_is_left_to_the_command_line() -> None:
    ours = {"print", "exit", "quit", "sys.exit", "sys.stdout.write", "sys.stderr.write"}
    for path in _MODULES:
        called = ours & set(_calls(_tree(path)))
        assert not called or _part(path) in ("cli", "__main__"), f"{_name(path)} calls {called}"


def test_modules_are_short() -> None:
    for path in _SOURCES:
        count = len(path.read_text(encoding="utf-8").splitlines())
        assert count <= _MAX_LINES, f"{_name(path)} has {count} lines"


def test_functions_are_short() -> None:
    for path, function in _functions(_SOURCES):
        count = (function.end_lineno or 0) - function.lineno + 1
        assert count <= _MAX_FUNCTION_LINES, f"{_name(path)}: {function.name}: {count} lines"


def test_functions_take_few_parameters() -> None:
    for path, function in _functions(_MODULES):
        takes = function.args
        by_place = [a.arg for a in takes.posonlyargs + takes.args if a.arg not in ("self", "cls")]
        count = len(by_place) + len(takes.kwonlyargs)
        assert count <= _MAX_PARAMETERS, f"{_name(path)}: {function.name}: {count} parameters"


def _functions(paths: list[Path]) -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in paths:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def test_public_things_have_docstrings() -> None:
    for path in _MODULES:
        tree = _tree(path)
        assert not tree.body or ast.get_docstring(tree), _name(path)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{_name(path)}: {node.name}"


def test_package_init_costs_nothing() -> None:
    docstring, version = _tree(_PACKAGE / "__init__.py").body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(version, ast.Assign)
    assert ast.unparse(version.targets[0]) == "__version__"


def test_subpackage_inits_hold_no_code() -> None:
    for path in _PACKAGE.glob("*/__init__.py"):
        for node in _tree(path).body:
            assert isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign), _name(path)
