"""What a run is identified by: configuration, tapes, the code that computes it, lock file."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from liqbt.kernel_cache import bytes_digest, cache_folder
from liqbt.registry.ledger import run_identity

_PACKAGE = Path(__file__).resolve().parent.parent

REPLICATION: Final = (
    "liqbt.study.replications",
    "liqbt.study.worlds",
    "liqbt.estimators",
    "liqbt.simulate.effects",
)
"""Where a replication of the validity gate begins; estimators, and what measures an effect, are
found by name."""

PIPELINE: Final = ("liqbt.study.run", "liqbt.study.published.score", *REPLICATION)
"""Where what a run computes begins."""

INGEST: Final = ("liqbt.study.ingest", "liqbt.study.readers", "liqbt.sources")
"""What reads files into an event log; a vendor's reader is imported by its name."""

SIMULATION: Final = ("liqbt.simulate",)
"""What simulates an event log."""

TAPES: Final = ("liqbt.tape",)
"""What makes a tape of a log."""

APART: Final = frozenset(
    {"report", "cli", "bench", "gate", "audit", "quality", "validity", "search"}
)
"""Rooms that read runs or order them, and change no number of one."""

READERS: Final = frozenset({"log", "sources", "ingest"})
"""Rooms whose whole effect on a run is its tape, which has a digest of its own. (A replication has
no such digest: there they count.)"""


_SHOWN: Final = frozenset({"Group", "Statistic", "Reading"})
_PROSE: Final = frozenset({"intro", "title", "note", "label", "column", "words", "text"})
"""What a report is told by the values of a claim's file, and no number depends on."""


def closure(
    roots: Iterable[str], apart: Collection[str] = APART | READERS, package: Path | None = None
) -> dict[str, Path]:
    """Return the modules of the package that `roots` import, directly or not, with their files.

    Found in the sources, without running them: imports for type checking alone do not count, and a
    name that a package's face re-exports leads to the module that defines it, so that a module
    counts only if something of it is used. A module that is imported by a name in a string is not
    seen: name its package among the roots, which stands for all its modules.

    Parameters
    ----------
    roots : iterable of str
        Modules, or packages in the sense of all their modules.
    apart : collection of str
        Rooms that are not entered, except by a root.
    package : Path, optional
        Folder of the package; this one by default.

    Returns
    -------
    dict of str to Path
        By name, sorted.
    """
    package = package or _PACKAGE
    left = [module for root in roots for module in _modules(root, package)]
    found: dict[str, Path] = {}
    trees: dict[str, tuple[tuple[str, str], ...]] = {}

    def imports(module: str) -> tuple[tuple[str, str], ...]:
        if module not in trees:
            trees[module] = tuple(_imports(_parsed(_file(module, package))[1]))
        return trees[module]

    def home(module: str, name: str) -> str:
        """Return the module in which a name that is imported from `module` is defined."""
        if name and _file(f"{module}.{name}", package).is_file():
            return f"{module}.{name}"
        if name and _file(module, package).name == "__init__.py":
            for inner, held in imports(module):
                if held == name:
                    return home(inner, name)
        return module

    while left:
        module = left.pop()
        if module in found:
            continue
        found[module] = _file(module, package)
        for inner, name in imports(module):
            other = home(inner, name)
            if other.split(".")[1:2] and other.split(".")[1] not in apart:
                left.append(other)
    return dict(sorted(found.items()))


def _modules(root: str, package: Path) -> list[str]:
    """Return a root's modules: itself, or all of a package's."""
    file = _file(root, package)
    if file.name != "__init__.py":
        return [root]
    inside = (path.relative_to(package.parent) for path in file.parent.rglob("*.py"))
    return [".".join(p.with_suffix("").parts).removesuffix(".__init__") for p in inside]


def _file(module: str, package: Path) -> Path:
    """Return a module's file, whether it is there or not; of a package its `__init__.py`."""
    place = package.joinpath(*module.split(".")[1:])
    face = place / "__init__.py"
    return face if face.is_file() else place.with_suffix(".py")


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the modules of the package that a tree imports, each with the name imported from it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "liqbt":
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, "") for a in node.names if a.name.split(".")[0] == "liqbt")
        elif isinstance(node, ast.If) and _for_types(node.test):
            yield from _imports(ast.Module(body=node.orelse, type_ignores=[]))
        elif not isinstance(node, ast.expr):
            yield from _imports(node)


def _for_types(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


@cache
def code_digest(roots: tuple[str, ...] = PIPELINE, apart: frozenset[str] = APART | READERS) -> str:
    """Return a digest of the code that can change a number, and of the data files it ships with.

    Comments and docstrings do not count, nor the sentences that a claim's file gives a report: to
    mend one is not to change a run. Computed once for a process, and once on this machine for the
    same sources: it takes a second.

    Parameters
    ----------
    roots, apart
        As in `closure`.
    """
    place = cache_folder() / f"code-{_sources_digest()}.json"
    known = read_cached(place)
    key = run_identity({"roots": roots, "apart": sorted(apart)})
    if key not in known:
        known[key] = _closure_digest(roots, apart)
        write_cached(place, known)
    return str(known[key])


def _closure_digest(roots: tuple[str, ...], apart: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for name, path in closure(roots, apart).items():
        prose = _PROSE if name.startswith("liqbt.evaluation.claims.") else ()
        text = bare_source(_parsed(path)[0], prose)
        digest.update(name.encode() + b"\0" + text.encode() + b"\0")
    for path in sorted((_PACKAGE / "data").glob("*.csv")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources_digest() -> str:
    """Return a digest of the package's files, each byte of them."""
    data = (_PACKAGE / "data").glob("*.csv")
    return bytes_digest([*_PACKAGE.rglob("*.py"), *data], _PACKAGE)


def read_cached(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file of the cache holds; nothing if it is not there or torn."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write_cached(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object to a file of the cache, whole or, as where it cannot be, not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(value), encoding="utf-8")
        part.replace(path)


@cache
def report_digest() -> str:
    """Return a digest of what a report is written with: sources, templates, styles, and claims.

    Computed once on this machine for the same files, as `code_digest`.
    """
    claims = (_PACKAGE / "evaluation" / "claims").glob("*.py")
    curves = _PACKAGE / "study" / "curves.py"
    found = sorted([*(_PACKAGE / "report").rglob("*"), *claims, curves])
    files = [path for path in found if path.suffix in {".py", ".j2", ".css", ".js"}]
    place = cache_folder() / f"report-{bytes_digest(files, _PACKAGE)}.json"
    known = read_cached(place)
    if "report" not in known:
        digest = hashlib.sha256()
        for path in files:
            text = _bare(path) if path.suffix == ".py" else path.read_text(encoding="utf-8")
            digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
            digest.update(text.encode() + b"\0")
        known["report"] = digest.hexdigest()
        write_cached(place, known)
    return str(known["report"])


def _parsed(path: Path) -> tuple[str, ast.Module]:
    """Return a module's source and its tree."""
    return _tree(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=512)
def _tree(source: str) -> tuple[str, ast.Module]:
    return source, ast.parse(source)


def _bare(path: Path) -> str:
    return bare_source(_parsed(path)[0])


def bare_source(source: str, prose: Collection[str] = ()) -> str:
    r"""Return the lines of a module without comments, docstrings and blank lines.

    Parameters
    ----------
    source : str
        The module.
    prose : collection of str
        Keywords of a report's values (`Group`, `Statistic`, `Reading`), whose strings go too.

    Examples
    --------
    >>> bare_source("x = 1  # one\n\n")
    'x = 1'
    """
    lines = source.encode().splitlines()
    spans = []
    tokens = tokenize.generate_tokens(io.StringIO(source).readline) if "#" in source else ()
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row = token.start[0]
            start = len(token.line[: token.start[1]].encode())
            spans.append((row, start, row, len(lines[row - 1])))
    inside: set[int] = set()  # lines of literals, whose blanks are part of the program
    told = set()
    for node in ast.walk(_tree(source)[1]):
        if isinstance(node, ast.Expr) and _is_text(node.value):
            told.add(node.value)
            spans.append(_span(node))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in _SHOWN:
            words = [k.value for k in node.keywords if k.arg in prose and _is_text(k.value)]
            told |= set(words)
            spans += map(_span, words)
        elif isinstance(node, ast.Constant | ast.JoinedStr) and node not in told:
            first, _, last, _ = _span(node)
            inside |= set(range(first, last)) if last > first else set()
    for first, start, last, stop in sorted(spans, reverse=True):
        lines[first - 1] = lines[first - 1][:start] + lines[last - 1][stop:]
        lines[first:last] = [b""] * (last - first)
    kept = [line if i in inside else line.rstrip() for i, line in enumerate(lines, 1)]
    return b"\n".join(line for i, line in enumerate(kept, 1) if line or i in inside).decode()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _span(node: ast.expr | ast.stmt) -> tuple[int, int, int, int]:
    """Return line and byte of a node's first character, and of the one after its last."""
    return node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0


def lock_digest() -> str:
    """Return a digest of the dependencies: names and versions as installed, and the lock file.

    An installed package has no lock file; a checkout's environment may have drifted from its own.
    """
    lock = _PACKAGE.parent / "requirements.lock"
    text = _installed() + (lock.read_bytes() if lock.is_file() else b"")
    return hashlib.sha256(text).hexdigest()


def installed_digest() -> str:
    """Return a digest of the dependencies' names and versions, as they are installed."""
    return hashlib.sha256(_installed()).hexdigest()


def _installed() -> bytes:
    required = (text for text in metadata.requires("liqbt") or [] if "extra ==" not in text)
    names = sorted(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in required)
    return "".join(f"{name}=={metadata.version(name)}\n" for name in names).encode()


SIGMA_KEYS: Final = ("sigma_window", "sigma_sampling", "sigma_min_coverage")
"""Of an estimator: how it takes the σ in which levels are placed."""


def is_of_the_map(key: str) -> bool:
    """Return whether a key, joined by dots, changes what is forecast and nothing that is scored.

    Two runs that differ in such keys alone have the same units (decision 0025): the same levels,
    outcomes and random walk. It is so for what an estimator draws, its margin, and the ridge of
    the calibration.

    Examples
    --------
    >>> keys = "estimators.mine.params.brackets.2.half_life", "symbols.BTC.margin.tiers"
    >>> [is_of_the_map(k) for k in keys]
    [True, True]
    >>> keys = "estimators.mine.params.sigma_window", "schedule.every", "seed"
    >>> [is_of_the_map(k) for k in keys]
    [False, False, False]
    """
    parts = key.split(".")
    if key == "evaluation.ridge":
        return True
    if parts[0] == "symbols" and len(parts) > 2:
        parts = parts[2:]
    if parts[0] in ("estimator", "estimators"):
        return not set(parts) & set(SIGMA_KEYS)
    return parts[0] == "margin"
