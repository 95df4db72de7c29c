"""Commit files: what they say, how they are written, and every way in which they can be wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from liqbt.errors import LogError
from liqbt.log.disk import replace, sha256
from liqbt.log.objects import ObjectPath, as_it_is
from liqbt.log.schema import SCHEMA_VERSION
from liqbt.types import Instrument, Kind

COMMIT_NAME: Final = re.compile(r"^\d{8}\.json$")
NO_PARENT: Final = "0" * 64
"""Parent of the first commit, and the digest of an empty log."""
_SEAL: Final = ',\n "self_sha256": "'
_END: Final = b'"\n}\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One Parquet file of one kind.

    Attributes
    ----------
    kind : Kind
        What its rows are.
    file : str
        Its name in `segments/`.
    rows : int
        How many events it holds, at least one.
    logical_sha256, file_sha256 : str
        Of the table's meaning, and of the file's bytes.
    size : int
        Of the file, in bytes.
    known_ns, event_ns : tuple of (int, int)
        First and last `ts_known` and `ts_event`, both inclusive.
    instruments : tuple of Instrument
        Whose events it holds, sorted.
    """

    kind: Kind
    file: str
    rows: int
    logical_sha256: str
    file_sha256: str
    size: int
    known_ns: tuple[int, int]
    event_ns: tuple[int, int]
    instruments: tuple[Instrument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What one `append` added, or what one `withdraw` took back.

    Attributes
    ----------
    number : int
        1, 2, 3 and so on without gaps.
    parent : str
        SHA-256 of the commit before, `NO_PARENT` for the first.
    segments : tuple of Segment
        The tables that were new.
    events : mapping of str to int
        Rows by kind that the source held, with those that an earlier commit had already.
    source : mapping
        Where they came from, as the caller said it.
    quarantine : mapping
        `file`, `rows`, `sha256` of the rows not believed; empty where there were none.
    digest : str
        SHA-256 of the commit file's bytes.
    """

    number: int
    parent: str
    segments: tuple[Segment, ...]
    events: Mapping[str, int]
    source: Mapping[str, Any] = field(default_factory=dict)
    quarantine: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    @property
    def withdraws(self) -> tuple[int, ...]:
        """Numbers of the commits that this one takes back; empty where it adds events."""
        return tuple(self.source.get("withdraws", ()))


def commit_name(number: int) -> str:
    """Return the file name of commit `number`.

    Examples
    --------
    >>> commit_name(7)
    '00000007.json'
    """
    return f"{number:08d}.json"


def seal(value: Mapping[str, Any]) -> bytes:
    """Return `value` as JSON whose last field is the SHA-256 of every byte before it."""
    body = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True).removesuffix("\n}")
    return (body + _SEAL).encode() + sha256((body + _SEAL).encode()).encode() + _END


def unseal(data: bytes, path: Path) -> dict[str, Any]:
    """Return what `seal` wrote.

    Raises
    ------
    LogError
        A byte differs from what was written.
    """
    body, seal_, end = (
        data[: -64 - len(_END)],
        data[-64 - len(_END) : -len(_END)],
        data[-len(_END) :],
    )
    if end != _END or not body.endswith(_SEAL.encode()) or sha256(body).encode() != seal_:
        raise LogError(f"{path} is damaged: its content does not match its own SHA-256")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LogError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise LogError(f"{path} is not a JSON object")
    return value


def commit_bytes(commit: Commit) -> bytes:
    """Return the bytes of a commit file."""
    value = asdict(commit)
    del value["digest"]
    value["schema_version"] = SCHEMA_VERSION
    for segment in value["segments"]:
        segment["kind"] = segment["kind"].name.lower()
        segment["instruments"] = [list(i) for i in segment["instruments"]]
    return seal(value)


@lru_cache(maxsize=4096)
def parse_commit(data: bytes, path: Path) -> Commit:
    """Return the commit in the file `path`, whose bytes are `data`.

    The bytes are read every time; what they say is worked out once, since every append reads the
    whole chain.

    Raises
    ------
    LogError
        The file is damaged or was written by another version.
    """
    value = unseal(data, path)
    if value.get("schema_version") != SCHEMA_VERSION:
        raise LogError(
            f"{path} has schema version {value.get('schema_version')!r}, this liqbt reads "
            f"{SCHEMA_VERSION}"
        )
    try:
        return Commit(
            number=value["number"],
            parent=value["parent"],
            segments=tuple(_segment(s) for s in value["segments"]),
            events=value["events"],
            source=value["source"],
            quarantine=value["quarantine"],
            digest=sha256(data),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LogError(f"{path} is not a commit of an event log: {error!r}") from None


def _segment(value: Mapping[str, Any]) -> Segment:
    return Segment(
        kind=Kind[value["kind"].upper()],
        file=value["file"],
        rows=value["rows"],
        logical_sha256=value["logical_sha256"],
        file_sha256=value["file_sha256"],
        size=value["size"],
        known_ns=(value["known_ns"][0], value["known_ns"][1]),
        event_ns=(value["event_ns"][0], value["event_ns"][1]),
        instruments=tuple(Instrument(*i) for i in value["instruments"]),
    )


def standing(commits: Sequence[Commit]) -> list[Commit]:
    """Return the commits whose events count: none that was withdrawn, and no withdrawal."""
    gone = {number for c in commits for number in c.withdraws}
    return [c for c in commits if c.number not in gone and not c.withdraws]


_IDENTITY: Final = ("file_sha256", "map_sha256", "join_sha256", "reader")
"""The fields of a source that make two of them the same."""


def identity_of(source: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return what makes two sources the same; None where the file's digest is not known."""
    return tuple(source.get(k) for k in _IDENTITY) if source.get("file_sha256") else None


def find_same(commits: Iterable[Commit], source: Mapping[str, Any]) -> Commit | None:
    """Return the first commit of the same source, if there is one."""
    wanted = identity_of(source)
    return next((c for c in commits if wanted and identity_of(c.source) == wanted), None)


def files_of(commit: Commit) -> set[str]:
    """Return the names of the files that a commit holds."""
    several = commit.source.get("files") or ()
    return {str(commit.source.get("file", "")), *(str(file["file"]) for file in several)} - {""}


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
    newest: int = head.get("head", 0)
    try:
        names = [p.name for p in _after(root / COMMITS, newest) if COMMIT_NAME.match(p.name)]
    except OSError as error:
        return [], [*problems, f"{root / COMMITS} cannot be read: {error.strerror}"]
    newest = max([int(n[:8]) for n in names] + [newest])
    commits: list[Commit] = []
    parent: str | None = NO_PARENT
    for number in range(1, newest + 1):
        commit, found = _read_commit(root / COMMITS / commit_name(number), number, parent)
        problems += found
        parent = commit.digest if commit else None
        commits += [commit] if commit else []
    problems += _head_problems(root, head, commits, newest)
    anew = as_it_is(root)
    if problems and anew is not root:  # a copy on this machine is of another log of this name
        return inspect_chain(anew)
    return commits, problems


def _after(folder: Path, number: int) -> Iterator[Path]:
    """Return the commit files, of an object store only those after `number`."""
    if isinstance(folder, ObjectPath):
        return folder.after(commit_name(number))
    return folder.iterdir()


def advance_head(root: Path, number: int, digest: str) -> None:
    """Let `log.json` name a commit; in an object store, unless it names that or a later one."""
    path, data = root / HEAD, head_bytes(number, digest)
    if isinstance(path, ObjectPath):
        path.exchange(data, lambda held: int(unseal(held, path)["head"]) >= number)
    elif path.read_bytes() != data:
        replace(path, data)


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
