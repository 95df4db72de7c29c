"""Damaged logs: one bit, one file. `verify` must find it, nothing false may be read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from liqbt.errors import LogError
from liqbt.log.store import EventLog
from liqbt.log.tables import logical_hash
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection
from liqbt.types import Instrument, Kind
from soak.row import Row, Tally
from soak.small import call, ingest_inputs

__all__ = ["damaged", "flips"]


def _small_log(folder: Path) -> EventLog:
    column_map, files = ingest_inputs(folder / "in", rows=30)
    said = call("ingest", column_map, *files, "--log", folder / "log", "--max-bad", "1")
    assert said.code == 0, said
    return EventLog.open(folder / "log")


def flips(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Flip one bit of one committed byte, anywhere; `verify` must find it, readers must refuse."""
    rng = random.Random(seed)
    log = _small_log(folder)
    files = [p for p in sorted(log.path.rglob("*")) if p.is_file() and p.name != "lock"]
    whole = {p: p.read_bytes() for p in files}
    starts: list[int] = []
    total = 0
    for path in files:
        starts.append(total)
        total += len(whole[path])
    found = Tally("one bit of a log flipped: verify finds it")
    read = Tally("one bit of a log flipped: nothing false is read")
    truth = {kind: logical_hash(log.read(kind)) for kind in (Kind.MARK, Kind.OPEN_INTEREST)}
    for _ in range(n):
        place = rng.randrange(total)
        k = max(i for i, start in enumerate(starts) if start <= place)
        path, at, bit = files[k], place - starts[k], 1 << rng.randrange(8)
        data = bytearray(whole[path])
        data[at] ^= bit
        path.write_bytes(data)
        try:
            problems = log.verify()
        except LogError as error:
            problems = [str(error)]
        found.check("" if problems else f"{path.name} byte {at} bit {bit}: not found")
        read.check(_reads_the_truth(log, truth, f"{path.name} byte {at}"))
        path.write_bytes(whole[path])
    assert log.verify() == []
    yield found.row(f"{len(files)} files, {total:,} bytes")
    yield read.row()


def _reads_the_truth(log: EventLog, truth: dict[Kind, str], what: str) -> str:
    try:
        same = all(logical_hash(log.read(kind)) == digest for kind, digest in truth.items())
    except LogError:
        return ""
    except Exception as error:
        return f"{what}: {type(error).__name__}: {error}"
    return "" if same else f"{what}: other events were read"


def damaged(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Remove, cut short or overwrite a file of a log; commands must say which, in one sentence."""
    rng = random.Random(seed)
    log = _small_log(folder)
    files = [p for p in sorted(log.path.rglob("*")) if p.is_file() and p.name != "lock"]
    ways: dict[str, Callable[[Path], object]] = {
        "missing": lambda p: p.unlink(),
        "truncated": lambda p: p.write_bytes(p.read_bytes()[: rng.randrange(p.stat().st_size)]),
        "empty": lambda p: p.write_bytes(b""),
        "replaced by another of its kind": lambda p: p.write_bytes(
            rng.choice([q for q in files if q.suffix == p.suffix]).read_bytes()[::-1]
        ),
        "a folder": lambda p: (p.unlink(), p.mkdir()),
    }
    for what, harm in ways.items():
        tally = Tally(f"log: a file {what}")
        for _ in range(n):
            path = rng.choice(files)
            whole = path.read_bytes()
            harm(path)
            tally.check(_said_of_damage(log, path))
            if path.is_dir():
                path.rmdir()
            path.write_bytes(whole)
        assert log.verify() == []
        yield tally.row()


def _said_of_damage(log: EventLog, path: Path) -> str:
    verified = call("log", "verify", log.path)
    if verified.crash or verified.code not in (1, 2) or "Traceback" in verified.err:
        return f"{path.name}: verify: exit {verified.code} {verified.crash[-300:]}"
    selection = Selection(
        kinds={k: (Instrument("mine", "XYZ"),) for k in (Kind.MARK, Kind.OPEN_INTEREST)}
    )
    try:
        build_tape(log, selection)
    except LogError as error:
        return "" if len(str(error).splitlines()) == 1 else f"{path.name}: {error}"
    except Exception as error:
        return f"{path.name}: {type(error).__name__}: {error}"
    return "" if path.parent.name == "quarantine" else f"{path.name}: a tape was built"
