"""Commit files: what they say, how they are written, and every way in which they can be wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from liqbt.errors import LogError
from liqbt.log.disk import sha256
from liqbt.log.schema import SCHEMA_VERSION
from liqbt.types import Instrument, Kind

__all__ = [
    "COMMIT_NAME",
    "NO_PARENT",
    "Commit",
    "Segment",
    "commit_bytes",
    "commit_name",
    "parse_commit",
    "seal",
    "unseal",
]

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
    """What one `append` added, for good.

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
