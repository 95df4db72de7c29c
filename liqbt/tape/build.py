"""From the log's tables to one array of records: order, duplicates, and the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace as replace_values
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.log.disk import TEMPORARY, replace
from liqbt.log.one_value import ONE_VALUE, first_clash, standing_rows
from liqbt.log.order import lexicographic_order, same_as_previous
from liqbt.log.schema import Columns, event_schema, order_keys, table_columns
from liqbt.log.store import EventLog
from liqbt.plausibility.interest import believed, next_to_nothing
from liqbt.tape.values import Masked, Outliers, Selection, Tape, record_digest, trusted_tape
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
        "masked": [[*m.instrument, m.nothing, m.alone, m.waited, m.tiny] for m in tape.masked],
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
    if cache_dir is None:
        return _built(log, selection, outliers)
    key = cache_key(log.digest, selection, outliers)
    cached = load_cached(cache_dir, key)
    if cached is not None:
        return cached
    tape = _built(log, selection, outliers)
    store_cached(cache_dir, key, tape)
    return load_cached(cache_dir, key) or tape


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

    parts = []
    for kind in sorted(selection.kinds):
        columns, names = table_columns(tables.get(kind, event_schema(kind).empty_table()))
        codes = _codes(selection)
        of_kind = {i: codes[i] for i in selection.kinds[kind]}
        wanted = _instrument_codes(columns, names, of_kind) >= 0
        chosen = {name: values[wanted] for name, values in columns.items()}
        _require_all(kind, chosen, names, selection, "a set of tables has", has)
        parts.append(_of_columns(kind, chosen, names, selection))
    return trusted_tape(_joined(parts, selection, "a set of tables has"), selection.instruments)


def _built(log: EventLog, selection: Selection, outliers: Outliers) -> Tape:
    events, masked = _records(log, selection, outliers)
    return replace_values(trusted_tape(events, selection.instruments), masked=masked)


def _records(
    log: EventLog, selection: Selection, outliers: Outliers
) -> tuple[Events, tuple[Masked, ...]]:
    def has(kind: Kind) -> list[str]:
        return [str(i) for i in log.info().instruments.get(kind, ())]

    where = f"the log {log.path} has"
    parts = []
    masked: list[Masked] = []
    for kind in sorted(selection.kinds):
        columns, names = table_columns(log.read(kind, selection.kinds[kind]))
        _require_all(kind, columns, names, selection, where, has)
        columns = _known_before(columns, selection.end_ns)
        _refuse_clash(log, kind, columns, names)
        if kind == Kind.OPEN_INTEREST and outliers != "keep":
            columns, found = _believed(columns, names, selection.start_ns)
            masked += found
        parts.append(_of_columns(kind, columns, names, selection))
    if masked and outliers == "refuse":
        raise DataError(f"{where} what cannot be right: {masked[0].text()}")
    return _joined(parts, selection, where), tuple(masked)


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
    for code in np.unique(market).tolist():
        counts = np.zeros(4, dtype=np.int64)
        for span in np.unique(columns["span_s"][market == code]).tolist():
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
            venue, symbol = divmod(int(code), int(width))
            nothing, single, late, small = counts.tolist()
            instrument = Instrument(names["venue"][venue], names["symbol"][symbol])
            found.append(
                Masked(
                    instrument=instrument, nothing=nothing, alone=single, waited=late, tiny=small
                )
            )
    out["ts_known"] = since
    return {name: values[keep & stands] for name, values in out.items()}, found


def _refuse_clash(
    log: EventLog, kind: Kind, columns: Columns, names: Mapping[str, list[str]]
) -> None:
    """Refuse a log, written before such rows were, that contradicts itself."""
    if kind not in ONE_VALUE:
        return
    clash = first_clash(kind, columns, names, "last_known")
    if clash is not None:
        raise DataError(
            f"the log {log.path}: {clash.what()} has two values, both known at one time: "
            f"{clash.both()}; take one of the files back (`liqbt log withdraw LOG FILE "
            "--reason ...`)"
        )


def _codes(selection: Selection) -> dict[Instrument, int]:
    return {instrument: i for i, instrument in enumerate(selection.instruments)}


def _joined(parts: list[Events], selection: Selection, where: str) -> Events:
    if not any(len(p) for p in parts):
        raise DataError(
            f"{where} no selected event known in "
            f"[{_iso(selection.start_ns)}, {_iso(selection.end_ns)})"
        )
    if len(parts) == 1:
        return parts[0]
    records = np.concatenate(parts)
    parts.clear()
    # each kind is in canonical order, and the sort is stable: three keys settle the rest
    return records[lexicographic_order([records[n] for n in ("ts_known", "ts_event", "kind")])]


def _require_all(
    kind: Kind,
    columns: Columns,
    names: Mapping[str, list[str]],
    selection: Selection,
    where: str,
    has: Callable[[Kind], list[str]],
) -> None:
    codes = _codes(selection)
    found = set(np.unique(_instrument_codes(columns, names, codes)).tolist())
    for wanted in selection.kinds[kind]:
        if codes[wanted] not in found:
            raise DataError(f"{where} no {kind.name.lower()} of {wanted}: it has {has(kind)}")


def _of_columns(
    kind: Kind, columns: Columns, names: Mapping[str, list[str]], selection: Selection
) -> Events:
    instrument = _instrument_codes(columns, names, _codes(selection))
    order = lexicographic_order(order_keys(kind, columns))
    order = order[_first_of_each(kind, columns, instrument, order)]
    known = columns["ts_known"][order]
    first, last = 0, len(order)
    if selection.start_ns is not None:
        first = int(np.searchsorted(known, selection.start_ns, side="left"))
    if selection.end_ns is not None:
        last = int(np.searchsorted(known, selection.end_ns, side="left"))
    return _pack(kind, columns, instrument, order[first:last])


def _instrument_codes(
    columns: Columns, names: Mapping[str, list[str]], codes: Mapping[Instrument, int]
) -> IntArray:
    table = np.full((len(names["venue"]), len(names["symbol"])), -1, dtype=np.int64)
    for i, venue in enumerate(names["venue"]):
        for j, symbol in enumerate(names["symbol"]):
            table[i, j] = codes.get(Instrument(venue, symbol), -1)
    picked: IntArray = table[columns["venue"], columns["symbol"]]
    return picked


def _first_of_each(
    kind: Kind, columns: Columns, instrument: IntArray, order: IntArray
) -> npt.NDArray[np.bool_]:
    """Return which places of `order` hold the first record of their event."""
    if kind in ONE_VALUE:
        stands: npt.NDArray[np.bool_] = standing_rows(kind, columns)[0][order]
        return stands
    keep = np.ones(len(order), dtype=bool)
    numbered = columns["seq"][order] >= 0
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


def _pack(kind: Kind, columns: Columns, instrument: IntArray, rows: IntArray) -> Events:
    records = np.zeros(len(rows), dtype=EVENT_DTYPE)
    for name in ("ts_known", "ts_event", "side", "span_s"):
        records[name] = columns[name][rows]
    records["kind"] = kind
    records["instrument"] = instrument[rows]
    for i in range(5):
        names = PAYLOAD[kind]
        records[f"p{i}"] = columns[names[i]][rows] if i < len(names) else np.nan
    return records


def _iso(ns: int | None) -> str:
    return "..." if ns is None else f"{np.datetime64(ns, 'ns').astype('datetime64[s]')}Z"
