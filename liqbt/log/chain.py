"""The chain of commits as it lies on disk, with everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from liqbt.errors import LogError
from liqbt.log.commits import (
    COMMIT_NAME,
    NO_PARENT,
    Commit,
    commit_name,
    parse_commit,
    seal,
    unseal,
)

__all__ = ["COMMITS", "HEAD", "head_bytes", "inspect_chain", "read_chain"]

COMMITS: Final = "commits"
HEAD: Final = "log.json"
_FORMAT: Final = "liqbt event log"
_VERSION: Final = 1


def head_bytes(number: int, digest: str) -> bytes:
    """Return the bytes of `log.json`, which names the newest commit."""
    return seal({"format": _FORMAT, "version": _VERSION, "head": number, "head_sha256": digest})


def read_chain(root: Path) -> list[Commit]:
    """Return the commits of the log at `root`, oldest first.

    Raises
    ------
    LogError
        There is no log, or its chain of commits is damaged; names the file.
    """
    commits, problems = inspect_chain(root)
    if problems:
        raise LogError(problems[0])
    return commits


def inspect_chain(root: Path) -> tuple[list[Commit], list[str]]:
    """Return the commits that can be read and one sentence on each thing wrong with the chain.

    Raises
    ------
    LogError
        There is no event log at `root`.
    """
    head, problems = _read_head(root)  # before the listing: a commit may be added meanwhile
    try:
        names = [p.name for p in (root / COMMITS).iterdir() if COMMIT_NAME.match(p.name)]
    except OSError as error:
        return [], [*problems, f"{root / COMMITS} cannot be read: {error.strerror}"]
    newest = max([int(n[:8]) for n in names] + [head.get("head", 0)])
    commits: list[Commit] = []
    parent: str | None = NO_PARENT
    for number in range(1, newest + 1):
        commit, found = _read_commit(root / COMMITS / commit_name(number), number, parent)
        problems += found
        parent = commit.digest if commit else None
        commits += [commit] if commit else []
    return commits, problems + _head_problems(root, head, commits, newest)


def _read_head(root: Path) -> tuple[dict[str, Any], list[str]]:
    path = root / HEAD
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LogError(f"there is no event log at {root}: {HEAD} is missing") from None
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror}") from None
    try:
        head = unseal(data, path)
    except LogError as error:
        return {}, [str(error)]
    if head.get("format") != _FORMAT or head.get("version") != _VERSION:
        raise LogError(f"{path} is not a {_FORMAT} of version {_VERSION}")
    return head, []


def _read_commit(path: Path, number: int, parent: str | None) -> tuple[Commit | None, list[str]]:
    try:
        commit = parse_commit(path.read_bytes(), path)
    except FileNotFoundError:
        return None, [f"commit {path} is missing"]
    except OSError as error:
        return None, [f"commit {path} cannot be read: {error.strerror}"]
    except LogError as error:
        return None, [str(error)]
    if commit.number != number:
        return commit, [f"commit {path} says that its number is {commit.number}"]
    if parent is not None and commit.parent != parent:
        return commit, [f"commit {path} does not follow the commit before it: parent differs"]
    return commit, []


def _head_problems(
    root: Path, head: dict[str, Any], commits: list[Commit], newest: int
) -> list[str]:
    if not head:
        return []
    number = head["head"]
    if newest > number + 1:  # one ahead is a writer killed between its two last steps
        return [f"{root / HEAD} names commit {number} as the newest, but {newest} is there"]
    named = [c.digest for c in commits if c.number == number] if number else [NO_PARENT]
    if named and named[0] != head["head_sha256"]:
        return [f"commit {number} is not the one that {root / HEAD} names"]
    return []
