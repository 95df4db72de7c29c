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
from liqbt.watch import Phase, Sighting, during, watched

_SHARED: Final = frozenset(
    Path(place).resolve()
    for name, place in sysconfig.get_paths().items()
    if name in ("purelib", "platlib", "stdlib", "platstdlib")
)
"""Folders that hold everybody's packages: there a module's own tree is its package alone."""
_NEVER_ANEW: Final = sys.stdlib_module_names | {"liqbt"}
_LOADED: Final[dict[str, dict[str, str]]] = {}
"""The sources of each module when it was imported: another text is another module."""
_REACHED: Final[dict[str, tuple[Sighting, ...]]] = {}
"""What each module reached for when it was imported."""


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
        why = str(error) if isinstance(error, ConfigError) else first_line(error)
        raise ConfigError(f"estimator '{name}' cannot be imported: {why}") from error


def own_sources(name: str) -> dict[str, str]:
    """Return the SHA-256 of every file that an estimator of one's own is made of.

    Its module, and what that imports from its own folder tree, in turn: the folder that it is
    imported from, or its package where that is installed. Imports are read, not run: one that is
    made of text while the program runs is not seen. Of data files those are looked at that its
    class names in `files`. A link counts as the file that it leads to, wherever that lies.

    Parameters
    ----------
    name : str
        As `module:Class`.

    Returns
    -------
    dict of str to str
        By path, relative to the folder that it is imported from.

    Raises
    ------
    ConfigError
        As `own_class`.
    """
    cls = own_class(name)
    named = dict(zip(getattr(cls, "files", ()), own_files(cls), strict=True))
    return _LOADED[name.partition(":")[0]] | {k: sha256_file(file) for k, file in named.items()}


def own_files(cls: Any) -> tuple[Path, ...]:
    """Return the files that a class says it reads when it is built: `files`, beside its module.

    Raises
    ------
    ConfigError
        One of them is not there, or is named otherwise than relative to the module.
    """
    given = getattr(cls, "files", ())
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise ConfigError(
            f"estimator '{cls.__name__}': its files is {given!r}; expected a tuple of names, "
            "relative to its module"
        )
    folder = Path(str(getattr(sys.modules.get(cls.__module__), "__file__", ""))).parent
    for name in given:
        if not (folder / name).is_file() or Path(name).is_absolute():
            raise ConfigError(
                f"estimator '{cls.__name__}': its files name '{name}'; expected a file, by its "
                "name relative to the module"
            )
    return tuple(folder / name for name in given)


def imported_by(name: str) -> tuple[Sighting, ...]:
    """Return what the module of `module:Class` reached for when it was imported."""
    return _REACHED.get(name.partition(":")[0], ())


def _module(name: str) -> ModuleType:
    """Import a module; anew where its files, or the place that it is found in, are others now.

    Anew, too, when it is first seen, with what it imports from its tree: what the process imported
    before may be of an older text. Installed modules alone are then taken to be as they are held.
    """
    top = name.partition(".")[0]
    if top == "__main__":
        raise ConfigError("it is the program that runs; expected a module with a file of its own")
    held = sys.modules.get(name)
    if held is not None and top not in _NEVER_ANEW and _moved(top):
        _forget(top, set())
    elif held is not None and name in _LOADED and _LOADED[name] == _digests(name, held):
        return held
    reached: set[Sighting] = set()
    while True:
        importlib.invalidate_caches()
        before = set(sys.modules)
        with watched(refuses=False) as watch, during(Phase.IMPORTED, name):
            module = importlib.import_module(name)
        reached |= set(watch.seen)
        sources = _digests(name, module)
        names = {file.removesuffix(".py").replace("/", ".") for file in sources}
        names = {each.removesuffix(".__init__") for each in names}
        stale = {each for each in names & before if _is_own(each, top if name in _LOADED else "")}
        if not stale:
            _LOADED[name], _REACHED[name] = sources, tuple(sorted(reached))
            return module
        _forget(top, names)


def _moved(top: str) -> bool:
    """Return whether a package is found elsewhere than where it was imported from."""
    found, first = PathFinder.find_spec(top), getattr(sys.modules.get(top), "__file__", None)
    there = found is not None and found.origin and first
    return bool(there) and Path(str(found and found.origin)).resolve() != Path(str(first)).resolve()


def _is_own(name: str, changed: str) -> bool:
    """Return whether a held module is imported anew: none that is installed and did not change."""
    top, file = name.partition(".")[0], getattr(sys.modules[name], "__file__", None)
    installed = not file or not _SHARED.isdisjoint(Path(file).resolve().parents)
    return top not in _NEVER_ANEW and (top == changed or not installed)


def _forget(top: str, names: set[str]) -> None:
    """Let a package, and every module of some names, be imported anew."""
    for each in list(sys.modules):
        if (each in names or each.partition(".")[0] == top) and _is_own(each, top):
            del sys.modules[each]


def _entry(name: str, module: ModuleType) -> tuple[Path, Path]:
    """Return the folder that a module is imported from (its outermost package's), and its file."""
    file = Path(str(module.__file__)).absolute()
    depth = name.count(".") + (file.name == "__init__.py")
    entry = file.parents[depth].resolve()
    return entry, entry / file.relative_to(file.parents[depth])


def _digests(name: str, module: ModuleType) -> dict[str, str]:
    """Return the SHA-256 of a module's file and of all that it imports from its own tree."""
    if not getattr(module, "__file__", None):
        raise ConfigError(f"{name} has no file to be identified by; expected a module that has one")
    entry, first = _entry(name, module)
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
                yield file


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
