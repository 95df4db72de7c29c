"""What a run is identified by: configuration, tapes, package sources, lock file."""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

_PACKAGE = Path(__file__).resolve().parent.parent


ROOMS: Final = (
    "types.py",
    "margin",
    "tape",
    "forecasts.py",
    "replay.py",
    "estimators",
    "simulate",
    "learn",
    "evaluation",
    "study/estimators.py",
    "study/pipeline.py",
    "study/replicate.py",
    "config",
    "data",
)
"""What can change a replication: the rest of the package (readers, reports, commands) cannot."""

APART: Final = ("evaluation/claims/visit.py",)
"""Modules of those rooms that no replication reads."""


def rooms_digest(rooms: Iterable[str] = ROOMS) -> str:
    """Return a digest of the sources and data files of some rooms of the package.

    Comments and docstrings do not count: to mend a sentence is not to change a replication.
    """
    digest = hashlib.sha256()
    for room in rooms:
        place = _PACKAGE / room
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_dir() or path.suffix not in {".py", ".csv", ".yaml"}:
                continue
            name = path.relative_to(_PACKAGE).as_posix()
            if name in APART:
                continue
            held = path.read_bytes()
            told = bare_source(held.decode()).encode() if path.suffix == ".py" else held
            digest.update(name.encode() + b"\0" + told + b"\0")
    return digest.hexdigest()


def bare_source(source: str) -> str:
    r"""Return the lines of a module without comments, docstrings and blank lines.

    Examples
    --------
    >>> bare_source("x = 1  # one\n\n")
    'x = 1'
    """
    lines = source.encode().splitlines()
    spans = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row = token.start[0]
            start = len(token.line[: token.start[1]].encode())
            spans.append((row, start, row, len(lines[row - 1])))
    inside: set[int] = set()  # lines of literals, whose blanks are part of the program
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and _is_text(node.value):
            docstrings.add(node.value)
            spans.append(_span(node))
        elif isinstance(node, ast.Constant | ast.JoinedStr) and node not in docstrings:
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


def code_digest() -> str:
    """Return a digest of everything in the package that can change a result: sources and data."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        if path.is_file() and path.suffix in {".py", ".j2", ".css", ".csv"}:
            digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def lock_digest() -> str:
    """Return a digest of the dependencies: names and versions as installed, and the lock file.

    An installed package has no lock file; a checkout's environment may have drifted from its own.
    """
    required = (text for text in metadata.requires("liqbt") or [] if "extra ==" not in text)
    names = sorted(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in required)
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}=={metadata.version(name)}\n".encode())
    lock = _PACKAGE.parent / "requirements.lock"
    if lock.is_file():
        digest.update(lock.read_bytes())
    return digest.hexdigest()


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
