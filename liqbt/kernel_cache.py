"""Where compiled kernels are kept: a folder for every state of what they are compiled from.

numba looks at a kernel's own file only, and keeps a stale answer when a helper or a constant in
another file changes. So its cache gets a folder whose name is a digest of every file of the package
that imports numba and of what these import, as programs: a comment or a docstring in any of them,
and whatever else changes in the package, leaves the folder as it is. (A comment in a kernel's own
file compiles that file's kernels anew: numba looks at its bytes.) Programs take a while to read, so
that a folder remembers which bytes it was named for.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.abc import MetaPathFinder
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
KEPT = 8
"""Folders that stay, the last used first: a checkout or two, and what one goes back to."""

_PACKAGE = Path(__file__).resolve().parent
_PREFIX = "numba-"
_NUMBA = re.compile(rb"^\s*(from|import) numba\b", re.MULTILINE)


class NamesFolder(MetaPathFinder):
    """Finds no module, but names the kernels' folder when numba is looked for, before it reads it.

    Most commands need no kernel; they do not pay for the digest.
    """

    def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> None:
        """Name the folder, once, if this is numba."""
        if fullname == "numba":
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
            name_folder()


def watch_for_numba() -> None:
    """Name the kernels' folder when numba is imported; where it has been, leave it alone."""
    if "numba" not in sys.modules:
        sys.meta_path.insert(0, NamesFolder())


def name_folder() -> None:
    """Point numba's cache at the kernels' folder and keep the last used folders alone.

    Whoever has set `NUMBA_CACHE_DIR` is left alone, unless it was a parent process for code that
    may be another.
    """
    if not _is_own(os.environ.get(VARIABLE)):
        return
    lies = hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:16]
    known = f"of-{lies}-{bytes_digest(_PACKAGE.rglob('*.py'))}"
    folder = next(cache_folder().glob(f"{_PREFIX}*/{known}"), Path()).parent
    named = folder.name.startswith(_PREFIX)
    folder = folder if named else kernel_folder()
    os.environ[VARIABLE] = str(folder)
    with suppress(OSError):  # sharing and pruning are no needs; numba says where it cannot write
        if named and _used(folder):
            return
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        prune(folder.parent, _PREFIX)
        share(folder)
        (folder / known).touch()


def bytes_digest(files: Iterable[Path], package: Path = _PACKAGE) -> str:
    """Return a digest of files of a package: of their names in it and of each byte."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _used(folder: Path) -> bool:
    """Note that a folder and what it shares are used now; return whether all of it is there."""
    os.utime(folder)
    links = [link for link in folder.iterdir() if link.is_symlink()]
    for link in links:
        if not link.is_dir():
            return False
        os.utime(link)
    return True


def share(folder: Path, package: Path = _PACKAGE) -> None:
    """Let whatever has the same kernels use the same compiled ones, wherever it lies.

    numba keeps what it compiles in a folder for every folder of sources, named by its path; here
    that is a link to one that is named by what is compiled there. So copies share, and what changes
    elsewhere compiles nothing anew. (Should numba name folders otherwise some day, every state of
    the package compiles for itself.)
    """
    for place in {path.parent for path in _kernels(package)}:
        name = ".".join(place.relative_to(package.parent).parts)
        shared = folder.parent / "kernels" / name / _digest(package, place)[:16]
        shared.mkdir(parents=True, exist_ok=True)
        os.utime(shared)
        prune(shared.parent)
        link = folder / f"{place.name}_{hashlib.sha1(str(place).encode()).hexdigest()}"
        if not link.is_symlink() and not link.exists():
            with suppress(FileExistsError):  # another process has made it meanwhile
                link.symlink_to(shared)


def _is_own(value: str | None) -> bool:
    return not value or (
        Path(value).parent == cache_folder() and Path(value).name.startswith(_PREFIX)
    )


def cache_folder() -> Path:
    """Return the folder of what can be made or fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liqbt"


def is_cold(kernel: str = "") -> bool:
    """Return whether no kernel, or not one whose name begins so, has been compiled yet.

    A name is that of a kernel's file and its own: `engine.run`.
    """
    if "numba" not in sys.modules:
        name_folder()
    places = Path(os.environ.get(VARIABLE) or kernel_folder()).glob("*")
    return not any(next(place.glob(f"{kernel}*.nbi"), None) for place in places)


def kernel_folder(package: Path = _PACKAGE) -> Path:
    """Return the folder of what is compiled from a package's sources."""
    return cache_folder() / f"{_PREFIX}{_digest(package)[:16]}"


def kernel_sources(package: Path = _PACKAGE, place: Path | None = None) -> list[Path]:
    """Return the files that import numba, and those of the package that they import, sorted.

    With a `place`, begin with the files of that folder.
    """
    waiting = [path for path in _kernels(package) if place in (None, path.parent)]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += _read(path, package)[1]
    return sorted(seen)


def _digest(package: Path, place: Path | None = None) -> str:
    digest = hashlib.sha256()
    for path in kernel_sources(package, place):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(_read(path, package)[0].encode() + b"\0")
    return digest.hexdigest()


@cache
def _kernels(package: Path) -> list[Path]:
    """Return the files that import numba."""
    return [path for path in package.rglob("*.py") if _NUMBA.search(path.read_bytes())]


@cache
def _read(path: Path, package: Path) -> tuple[str, list[Path]]:
    """Return a module's program, without comments, docstrings and places, and what it imports."""
    tree = ast.parse(path.read_bytes())
    imported = [found for node in _statements(tree) for found in _imported(node, path, package)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements of a module, inner ones too, and take its docstrings out."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(node, name, None)
        if isinstance(inner, list):
            inner[:] = [one for one in inner if not _is_text(one)]
            for one in inner:
                yield one
                yield from _statements(one)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imported(node: ast.AST, path: Path, package: Path) -> Iterator[Path]:
    """Yield the package's files from which a statement takes names.

    A folder's `__init__` is one if a name is taken from the folder itself, not because a module
    lies in it.
    """
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        inside = (package.name, *path.relative_to(package).parent.parts)
        above = ".".join(inside[: len(inside) - node.level + 1]) if node.level else ""
        base = ".".join(filter(None, (above, node.module)))
        names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
    for name in names:
        first, *parts = name.split(".")
        if first == package.name and parts:
            here = package.joinpath(*parts)
            files = (here / "__init__.py", here.with_name(f"{here.name}.py"))
            yield from (file for file in files if file.is_file())


def prune(base: Path, prefix: str = "", kept: int = KEPT) -> None:
    """Remove all but the last used folders of compiled kernels.

    A process that still runs on one of the removed compiles again what it has not loaded.
    """
    folders = sorted(base.glob(f"{prefix}*"), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-kept]:
        shutil.rmtree(folder, ignore_errors=True)
