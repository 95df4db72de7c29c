"""Decoded tapes on disk, memory-mapped when they are read again."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.errors import DataError
from liqbt.log.disk import TEMPORARY, replace
from liqbt.tape.values import Selection, Tape, record_digest
from liqbt.types import EVENT_DTYPE, Instrument

__all__ = ["cache_key", "load_cached", "store_cached"]

_VERSION: Final = 1
_READ_WHOLE: Final = 256 << 20
"""Files up to this many bytes are hashed when they are opened (a third of a second at most)."""


def cache_key(log_digest: str, selection: Selection) -> str:
    """Return the name under which the tape of a log and a selection is kept."""
    what = [_VERSION, str(EVENT_DTYPE.descr), log_digest, selection.key()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def load_cached(folder: Path, key: str) -> Tape | None:
    """Return the cached tape, mapped read-only; None where it is absent or damaged."""
    try:
        meta = _read_meta(folder / f"{key}.json")
        size = (folder / f"{key}.events").stat().st_size
        instruments = tuple(Instrument(*i) for i in meta["instruments"])
        if meta["key"] != key or size != meta["size"] or size % EVENT_DTYPE.itemsize:
            return None
        events = np.memmap(folder / f"{key}.events", dtype=EVENT_DTYPE, mode="r")
        if size <= _READ_WHOLE and record_digest(events, instruments) != meta["digest"]:
            return None
        return Tape(events=np.asarray(events), instruments=instruments, digest=meta["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store_cached(folder: Path, key: str, tape: Tape) -> None:
    """Keep `tape` under `key`; a reader finds all of it or nothing.

    Raises
    ------
    DataError
        The folder cannot be written.
    """
    meta: dict[str, Any] = {
        "key": key,
        "digest": tape.digest,
        "size": tape.events.nbytes,
        "instruments": [list(i) for i in tape.instruments],
    }
    sealed = json.dumps({**meta, "self": _self_digest(meta)}).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(folder):
            replace(folder / f"{key}.events", tape.events.view(np.uint8).data)
            replace(folder / f"{key}.json", sealed)
    except OSError as error:
        raise DataError(f"cannot write the tape cache {folder}: {error.strerror}") from error


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Wait until nobody else writes to `folder`, and remove what killed writers left there."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for path in folder.glob(f"*{TEMPORARY}"):
            path.unlink()
        yield


def _read_meta(path: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(path.read_bytes())
    if meta.pop("self") != _self_digest(meta):
        raise ValueError(f"{path} is damaged")
    return meta


def _self_digest(meta: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()
