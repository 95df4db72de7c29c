"""Estimators of one's own: importing them, and the sources that their behaviour depends on."""

from __future__ import annotations

import ast
import importlib
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from liqbt.errors import ConfigError, first_line
from liqbt.log.disk import sha256_file

_SHARED: Final = frozenset(
    Path(place).resolve()
    for name, place in sysconfig.get_paths().items()
    if name in ("purelib", "platlib", "stdlib", "platstdlib")
)
"""Folders that hold everybody's packages: there a module's own tree is its package alone."""
_NEVER_ANEW: Final = sys.stdlib_module_names | {"liqbt"}
_LOADED: Final[dict[str, dict[str, str]]] = {}
"""The sources of each module when it was imported: another text is another module."""


def make_importable(folder: Path) -> None:
    """Let estimators be named that lie beside an experiment's file."""
    place = str(folder.resolve())
    if place in sys.path:
        sys.path.remove(place)
    sys.path.insert(0, place)


def own_class(name: str) -> Any:
    """Return the class that `module:Class` names; its modules as they are on the disk now.

    Raises
    ------
    ConfigError
        If it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(_module(module), attribute)
    except Exception as error:  # a user's module may raise anything
        raise ConfigError(f"estimator '{name}' cannot be imported: {first_line(error)}") from error


def own_sources(name: str) -> dict[str, str]:
    """Return the SHA-256 of every file that an estimator of one's own is made of.

    Its module, and what that imports from its own folder tree, in turn: the folder that it is
    imported from, or its package where that is installed. Imports are read, not run: one that is
    made of text while the program runs is not seen, and data files are not looked at.

    Parameters
    ----------
    name : str
        As `module:Class`.

    Returns
    -------
    dict of str to str
        By path, relative to the folder that it is imported from; `built in` where there is none.
    """
    module = name.partition(":")[0]
    return _digests(module, _module(module))


def _module(name: str) -> ModuleType:
    """Import a module; anew where its files, or the place that it is found in, are others now."""
    top = name.partition(".")[0]
    held = sys.modules.get(name)
    if held is not None and top not in _NEVER_ANEW:
        found, first = PathFinder.find_spec(top), getattr(sys.modules.get(top), "__file__", None)
        moved = found and found.origin and first and not _same(found.origin, first)
        if moved or (name in _LOADED and _LOADED[name] != _digests(name, held)):
            _forget(top, {_entry(name, held) / each for each in _LOADED.get(name, ())})
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    _LOADED[name] = _digests(name, module)
    return module


def _same(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()


def _forget(top: str, files: set[Path]) -> None:
    """Let a package, and every module of some files, be imported anew."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] == top or (file and Path(file).resolve() in files):
            del sys.modules[name]


def _entry(name: str, module: ModuleType) -> Path:
    """Return the folder that a module is imported from: that of its outermost package."""
    file = Path(str(module.__file__)).resolve()
    depth = name.count(".") + (file.name == "__init__.py")
    return file.parents[depth]


def _digests(name: str, module: ModuleType) -> dict[str, str]:
    """Return the SHA-256 of a module's file and of all that it imports from its own tree."""
    if not getattr(module, "__file__", None):
        return {name: "built in"}
    entry = _entry(name, module)
    first = Path(str(module.__file__)).resolve()
    tree = first if entry in _SHARED and "." not in name and first.parent == entry else entry
    if entry in _SHARED and tree != first:
        tree = entry / name.partition(".")[0]
    seen: set[Path] = set()
    waiting = [first, *_files(entry, name)]
    while waiting:
        file = waiting.pop()
        if file in seen or not (file == tree or tree in file.parents):
            continue
        seen.add(file)
        for imported in _imports(file, entry):
            if imported.partition(".")[0] != "liqbt":  # the package has its own digest
                waiting += _files(entry, imported)
    return {file.relative_to(entry).as_posix(): sha256_file(file) for file in sorted(seen)}


def _files(entry: Path, name: str) -> Iterator[Path]:
    """Yield the files below `entry` that importing `name` runs: its packages', then its own."""
    here = entry
    for part in name.split("."):
        here = here / part
        for file in (here / "__init__.py", here.with_suffix(".py")):
            if file.is_file():
                yield file.resolve()


def _imports(file: Path, entry: Path) -> Iterator[str]:
    """Yield the dotted names that a module's source imports, wherever in it."""
    package = file.relative_to(entry).parent.parts
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
            yield from (".".join(filter(None, (base, alias.name))) for alias in node.names)
