"""From the log's tables to one array of records: order, duplicates, and the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace as replace_values
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.log.disk import TEMPORARY, replace, replacing
from liqbt.log.one_value import ONE_VALUE, Clash, first_clash, standing_rows
from liqbt.log.order import distinct, lexicographic_order, same_as_previous
from liqbt.log.schema import Columns, Names, order_keys
from liqbt.log.store import EventLog
from liqbt.plausibility.interest import believed, next_to_nothing
from liqbt.tape.parts import Rows, Runs
from liqbt.tape.values import (
    Masked,
    Outliers,
    Selection,
    Tape,
    record_digest,
    record_hash,
    trusted_tape,
)
from liqbt.types import EVENT_DTYPE, PAYLOAD, Events, Instrument, IntArray, Kind

_VERSION: Final = 3
_READ_WHOLE: Final = 256 << 20
"""Files up to this many bytes are hashed when they are opened (a third of a second at most)."""


def cache_key(log_digest: str, selection: Selection, outliers: Outliers = "mask") -> str:
    """Return the name under which the tape of a log and a selection is kept."""
    what = [_VERSION, str(EVENT_DTYPE.descr), log_digest, selection.key(), outliers]
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
        return Tape(
            events=np.asarray(events),
            instruments=instruments,
            digest=meta["digest"],
            masked=tuple(
                Masked(instrument=Instrument(v, s), nothing=n, alone=a, waited=w, tiny=t)
                for v, s, n, a, w, t in meta["masked"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store_cached(
    folder: Path,
    key: str,
    parts: Iterable[Events],
    instruments: tuple[Instrument, ...],
    masked: Sequence[Masked] = (),
) -> None:
    """Keep a tape, given in parts, under `key`; a reader finds all of it or nothing.

    Raises
    ------
    DataError
        The folder cannot be written.
    """
    digest, size = record_hash(instruments), 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(folder):
            with replacing(folder / f"{key}.events") as file:
                for part in parts:
                    data = np.ascontiguousarray(part).view(np.uint8).data
                    digest.update(data)
                    size += file.write(data)
            meta: dict[str, Any] = {
                "key": key,
                "digest": digest.hexdigest(),
                "size": size,
                "instruments": [list(i) for i in instruments],
                "masked": [[*m.instrument, m.nothing, m.alone, m.waited, m.tiny] for m in masked],
            }
            sealed = json.dumps({**meta, "self": _self_digest(meta)}).encode()
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


def build_tape(
    log: EventLog,
    selection: Selection,
    cache_dir: Path | None = None,
    *,
    outliers: Outliers = "mask",
) -> Tape:
    """Return the selected events of `log` in canonical order, each once.

    Two rows are the same event where kind, venue, symbol and the venue's id agree, or, where there
    is no id, where everything but `ts_known` agrees. Of the same event the one that was known first
    stands; a duplicate that becomes known later changes nothing, so a prefix never depends on what
    follows it. Of what has one value per instant (`liqbt.log.one_value`) another value that becomes
    known later is a revision, and an event from then on. Open interest is believed as
    `liqbt.plausibility.interest` has it, unless `outliers` says otherwise.

    Parameters
    ----------
    log : EventLog
        Only what is committed is read.
    selection : Selection
        What to read. Every instrument that is named must have events of its kind in the log.
    cache_dir : Path, optional
        Where decoded tapes are kept; a second call with the same log and selection maps the file
        instead of reading the log. A damaged file is built again.
    outliers : str
        `mask` leaves out, or lets wait, open interest that is not believed; `keep` takes it as it
        is; `refuse` refuses the log.

    Raises
    ------
    DataError
        An instrument has no events of its kind (says which there are), none lie in the period, or
        two values of one instant were known at the same time.
    LogError
        The log is damaged; names the file.
    """
    return build_tapes(log, {"": selection}, cache_dir, outliers=outliers)[""]


def build_tapes(
    log: EventLog,
    selections: Mapping[str, Selection],
    cache_dir: Path | None = None,
    *,
    outliers: Outliers = "mask",
) -> dict[str, Tape]:
    """Return the tape of each selection, as `build_tape` returns one.

    A segment that holds events of several is read once for all of them.
    """
    digest = log.digest if cache_dir else ""
    keys = {name: cache_key(digest, s, outliers) for name, s in selections.items()}
    found: dict[str, Tape] = {}
    for name in selections:
        cached = cache_dir and load_cached(cache_dir, keys[name])
        if cached:
            found[name] = cached
    left = {name: s for name, s in selections.items() if name not in found}
    with contextlib.closing(Runs(cache_dir)) as runs:
        masked = _put_all(runs, log, left, cache_dir, outliers)
        for name, selection in left.items():
            told = masked[name]
            if told and outliers == "refuse":
                raise DataError(f"{_where(log)} what cannot be right: {told[0].text()}")
            _require_some(runs.rows(name), selection, _where(log))
            if cache_dir is None:
                tape = trusted_tape(runs.collected(name), selection.instruments)
                found[name] = replace_values(tape, masked=tuple(told))
            else:
                parts = runs.merged(name)
                store_cached(cache_dir, keys[name], parts, selection.instruments, told)
                found[name] = _just_cached(cache_dir, keys[name])
    return {name: found[name] for name in selections}


def _just_cached(folder: Path, key: str) -> Tape:
    tape = load_cached(folder, key)
    if tape is None:
        raise DataError(f"the tape cache {folder} does not hold what was just written to it")
    return tape


def _put_all(
    runs: Runs,
    log: EventLog,
    selections: Mapping[str, Selection],
    folder: Path | None,
    outliers: Outliers,
) -> dict[str, list[Masked]]:
    """Put in order what each selection takes; return what was not believed of it."""
    masked: dict[str, list[Masked]] = {name: [] for name in selections}
    for kind, of_kind in _kinds(selections):
        instruments = _instruments(kind, of_kind)
        with contextlib.closing(Rows(instruments, folder)) as rows:
            for table in log.tables(kind, instruments):
                rows.add(table)
            for name, selection in of_kind.items():
                _require_all(kind, rows, selection, _where(log), partial(_held_by, log))
                masked[name] += _put_kind(runs, name, kind, rows, selection, log, outliers)
    return masked


def tape_from_tables(tables: Mapping[Kind, pa.Table], selection: Selection) -> Tape:
    """Return the selected events of tables that are in no log, as `build_tape` would.

    Parameters
    ----------
    tables : mapping of Kind to pyarrow.Table
        Event tables (`liqbt.log.event_table`).
    selection : Selection
        What to take. Every instrument that is named must have events of its kind.

    Raises
    ------
    DataError
        An instrument has no events of its kind, or none lie in the period.
    """

    def has(kind: Kind) -> list[str]:
        pairs = tables[kind].select(["venue", "symbol"]).to_pylist() if kind in tables else []
        return sorted({str(Instrument(**pair)) for pair in pairs})

    where = "a set of tables has"
    runs = Runs(None)
    for kind, of_kind in _kinds({"": selection}):
        rows = Rows(_instruments(kind, of_kind), None)
        if kind in tables:
            rows.add(tables[kind])
        _require_all(kind, rows, selection, where, has)
        for part in rows.parts(selection.kinds[kind]):
            runs.put("", *_run(kind, part, rows.names, selection))
    _require_some(runs.rows(""), selection, where)
    return trusted_tape(runs.collected(""), selection.instruments)


def _kinds(selections: Mapping[str, Selection]) -> Iterator[tuple[Kind, dict[str, Selection]]]:
    """Yield each kind that is selected, in their order, with the selections that hold it."""
    for kind in sorted({kind for selection in selections.values() for kind in selection.kinds}):
        yield kind, {name: s for name, s in selections.items() if kind in s.kinds}


def _instruments(kind: Kind, selections: Mapping[str, Selection]) -> list[Instrument]:
    return sorted({Instrument(*i) for s in selections.values() for i in s.kinds[kind]})


def _where(log: EventLog) -> str:
    return f"the log {log.path} has"


def _held_by(log: EventLog, kind: Kind) -> list[str]:
    return [str(i) for i in log.info().instruments.get(kind, ())]


def _put_kind(
    runs: Runs,
    name: str,
    kind: Kind,
    rows: Rows,
    selection: Selection,
    log: EventLog,
    outliers: Outliers,
) -> list[Masked]:
    """Put in order what a selection takes of one kind; return what was not believed of it."""
    masked: list[Masked] = []
    clashes = []
    interest = kind == Kind.OPEN_INTEREST  # believed row after row, so that none may be missing
    for part in rows.parts(selection.kinds[kind], whole=interest):
        columns = _known_before(part, selection.end_ns)
        clash = kind in ONE_VALUE and first_clash(kind, columns, rows.names, "last_known")
        if clash:
            clashes.append(clash)
        if interest and outliers != "keep":
            columns, found = _believed(columns, rows.names, selection.start_ns)
            masked += found
        runs.put(name, *_run(kind, columns, rows.names, selection))
    _refuse(log, clashes)
    return masked


def _known_before(
    columns: dict[str, npt.NDArray[Any]], end_ns: int | None
) -> dict[str, npt.NDArray[Any]]:
    """Return the rows known before the end of a selection: nothing later is looked at at all.

    What is said of a tape, such as how much of it was masked, would otherwise tell of a sealed
    holdout.
    """
    if end_ns is None:
        return columns
    early = columns["ts_known"] < end_ns
    return columns if early.all() else {name: values[early] for name, values in columns.items()}


def _believed(
    columns: Columns, names: Mapping[str, list[str]], start_ns: int | None
) -> tuple[dict[str, npt.NDArray[Any]], list[Masked]]:
    """Return the rows of open interest that are ever believed, known when they are.

    Rows before `start_ns` say what a jump is, and are not counted.
    """
    out = dict(columns)
    keep = np.ones(len(columns["ts_known"]), dtype=bool)
    since = columns["ts_known"].copy()
    stands = standing_rows(Kind.OPEN_INTEREST, columns)[0]
    width = np.int64(len(names["symbol"]))
    market = columns["venue"].astype(np.int64) * width + columns["symbol"]
    found = []
    for code in distinct(market):
        counts = np.zeros(4, dtype=np.int64)
        for span in distinct(columns["span_s"][market == code]):
            rows = np.flatnonzero((market == code) & (columns["span_s"] == span) & stands)
            rows = rows[np.lexsort((columns["ts_event"][rows], columns["ts_known"][rows]))]
            coins = columns["open_interest_coins"][rows]
            keep[rows], since[rows] = believed(columns["ts_known"][rows], coins)
            inside = np.ones(len(rows), dtype=bool) if start_ns is None else since[rows] >= start_ns
            tiny = next_to_nothing(keep[rows], coins)
            alone = ~keep[rows] & (coins > 0) & ~tiny
            waited = since[rows] > columns["ts_known"][rows]
            counts += [(inside & what).sum() for what in (coins <= 0, alone, waited, tiny)]
        if counts.any():
            venue, symbol = divmod(code, int(width))
            nothing, single, late, small = counts.tolist()
            instrument = Instrument(names["venue"][venue], names["symbol"][symbol])
            found.append(
                Masked(
                    instrument=instrument, nothing=nothing, alone=single, waited=late, tiny=small
                )
            )
    out["ts_known"] = since
    return {name: values[keep & stands] for name, values in out.items()}, found


def _refuse(log: EventLog, clashes: Sequence[Clash]) -> None:
    """Refuse a log, written before such rows were, that contradicts itself."""
    if not clashes:
        return
    first = min(clashes, key=lambda c: (c.ts_event, c.seq < 0, c.instrument, c.seq))
    clash = replace_values(first, count=sum(c.count for c in clashes))
    raise DataError(
        f"the log {log.path}: {clash.what()} has two values, both known at one time: "
        f"{clash.both()}; take one of the files back (`liqbt log withdraw LOG FILE "
        "--reason ...`)"
    )


def _require_some(rows: int, selection: Selection, where: str) -> None:
    if not rows:
        raise DataError(
            f"{where} no selected event known in "
            f"[{_iso(selection.start_ns)}, {_iso(selection.end_ns)})"
        )


def _require_all(
    kind: Kind, rows: Rows, selection: Selection, where: str, has: Callable[[Kind], list[str]]
) -> None:
    for wanted in selection.kinds[kind]:
        if not rows.found(wanted):
            raise DataError(f"{where} no {kind.name.lower()} of {wanted}: it has {has(kind)}")


def _run(
    kind: Kind, columns: Columns, names: Names, selection: Selection
) -> tuple[Events, IntArray]:
    """Return the records of a part in canonical order, each event once, and their numbers."""
    order = lexicographic_order(order_keys(kind, columns))
    order = order[_first_of_each(kind, columns, order)]
    known = columns["ts_known"][order]
    first, last = 0, len(order)
    if selection.start_ns is not None:
        first = int(np.searchsorted(known, selection.start_ns, side="left"))
    if selection.end_ns is not None:
        last = int(np.searchsorted(known, selection.end_ns, side="left"))
    order = order[first:last]
    return _pack(kind, columns, names, selection, order), columns["seq"][order]


def _first_of_each(kind: Kind, columns: Columns, order: IntArray) -> npt.NDArray[np.bool_]:
    """Return which places of `order` hold the first record of their event."""
    if kind in ONE_VALUE:
        stands: npt.NDArray[np.bool_] = standing_rows(kind, columns)[0][order]
        return stands
    keep = np.ones(len(order), dtype=bool)
    numbered = columns["seq"][order] >= 0
    instrument = columns["venue"]
    plain = [columns["ts_event"], instrument, columns["side"], columns["span_s"]]
    plain += [columns[name].view(np.uint64) for name in PAYLOAD[kind]]
    plain.append(columns["occurrence"])
    for places, identity in (
        (np.flatnonzero(numbered), [columns["seq"], instrument]),
        (np.flatnonzero(~numbered), plain),
    ):
        rows = order[places]
        keys: list[npt.NDArray[Any]] = [key[rows] for key in identity]
        by_identity = lexicographic_order(keys)
        keep[places[by_identity[same_as_previous(keys, by_identity)]]] = False
    return keep


def _pack(
    kind: Kind, columns: Columns, names: Names, selection: Selection, rows: IntArray
) -> Events:
    places = {instrument: i for i, instrument in enumerate(selection.instruments)}
    held = map(Instrument, names["venue"], names["symbol"])
    code = np.array([places.get(instrument, 0) for instrument in held], dtype=np.uint16)
    records = np.zeros(len(rows), dtype=EVENT_DTYPE)
    for name in ("ts_known", "ts_event", "side", "span_s"):
        records[name] = columns[name][rows]
    records["kind"] = kind
    records["instrument"] = code[columns["venue"][rows]]
    for i in range(5):
        payload = PAYLOAD[kind]
        records[f"p{i}"] = columns[payload[i]][rows] if i < len(payload) else np.nan
    return records


def _iso(ns: int | None) -> str:
    return "..." if ns is None else f"{np.datetime64(ns, 'ns').astype('datetime64[s]')}Z"
