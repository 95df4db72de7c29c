"""Rows of a log on their way to tapes, a bounded number of them at a time.

Rows are put aside as they are read. What makes two rows the same event, the instrument with the
venue's number or with the time, decides which part they come back in, so that each part is freed of
duplicates on its own. A part in canonical order is a run; runs are merged by time.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.errors import DataError
from liqbt.log.order import lexicographic_order
from liqbt.log.schema import Columns, Names, table_columns
from liqbt.types import EVENT_DTYPE, Events, Instrument, IntArray, Ns

HELD: Final = 600_000
"""Rows that are held at once, a year of minutes; where there are more, they go into files."""
_SHARE_BITS: Final = 10
_SHARES: Final = 1 << _SHARE_BITS
"""Into so many shares the rows of an instrument are divided; a part is some of them."""
_NUMBERS: Final = 10
"""A thousand of the venue's numbers that follow each other share a hash (a shift), ..."""
_TIMES: Final = 38
"""... or the times of 4.6 minutes, so that rows lie beside those that they are sorted with."""
_SLICES: Final = 4
"""A slice of merged runs is this part of `HELD` rows, which a processor's cache may hold."""
_SAMPLES: Final = 64
"""Of the rows of a slice the times of so many say where runs are cut."""

_Part: TypeAlias = dict[str, npt.NDArray[Any]]
_Run: TypeAlias = tuple[Events, IntArray]


class Aside:
    """Arrays of one dtype that are put aside: above `HELD` rows in a file, else in memory.

    The file has no name: it is gone with the process, however that ends.

    Parameters
    ----------
    folder : Path or None
        Where the file is; None keeps all in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: list[npt.NDArray[Any]] = []
        self._waiting = 0
        self._rows: list[int] = []
        self._dtype: Any = None
        self._file: Any = None

    def put(self, array: npt.NDArray[Any]) -> None:
        """Take an array.

        Raises
        ------
        DataError
            The folder cannot be written.
        """
        self._dtype = array.dtype
        self._rows.append(len(array))
        self._held.append(array)
        self._waiting += len(array)
        if self._folder is not None and self._waiting > HELD:
            self._write(self._folder)

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return what was put, in its order."""
        if self._file is None or self._folder is None:
            return self._held
        self._write(self._folder)
        whole = np.asarray(np.memmap(self._file, dtype=self._dtype, mode="r"))
        return np.split(whole, np.cumsum(self._rows)[:-1])

    def close(self) -> None:
        """Let go of the file, and of the disk that it takes."""
        if self._file is not None:
            self._file.close()

    def _write(self, folder: Path) -> None:
        try:
            if self._file is None:
                folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
            for array in self._held:
                self._file.write(np.ascontiguousarray(array).view(np.uint8).data)
            self._file.flush()
        except OSError as error:
            raise DataError(f"cannot write the tape cache {folder}: {error.strerror}") from error
        self._held.clear()
        self._waiting = 0


class Rows:
    """The rows of one kind, put in as they are read and asked for in parts.

    Parameters
    ----------
    instruments : sequence of Instrument
        Whose rows are taken, sorted by venue and symbol.
    folder : Path or None
        Where rows are put aside; None holds all of them.

    Attributes
    ----------
    names : mapping of str to list of str
        What `venue` and `symbol` of a part index: an instrument has the same place in both.
    """

    def __init__(self, instruments: Sequence[Instrument], folder: Path | None) -> None:
        self._folder = folder
        self._codes = {instrument: i for i, instrument in enumerate(instruments)}
        self._counts = np.zeros(len(instruments), dtype=np.int64)
        self._held: list[_Part] = []
        self._waiting = 0
        self._aside: dict[str, Aside] = {}
        self._starts: list[IntArray] = []
        self.names: Names = {
            "venue": [venue for venue, _ in instruments],
            "symbol": [symbol for _, symbol in instruments],
        }

    def add(self, table: pa.Table) -> None:
        """Take the rows of an event table.

        Raises
        ------
        DataError
            A column holds nulls, or the folder cannot be written.
        """
        columns, names = table_columns(table)
        code = _instrument_codes(columns, names, self._codes)
        del columns["venue"], columns["symbol"]
        columns["instrument"] = code.astype(np.int32)
        wanted = code >= 0
        if not wanted.all():
            columns = {name: values[wanted] for name, values in columns.items()}
        self._counts += np.bincount(columns["instrument"], minlength=len(self._counts))
        self._held.append(columns)
        self._waiting += len(columns["seq"])
        if self._folder is not None and self._waiting > HELD:
            self._put_aside()

    def close(self) -> None:
        """Let go of what was put aside."""
        for aside in self._aside.values():
            aside.close()

    def found(self, instrument: Instrument) -> bool:
        """Return whether an instrument has any row."""
        return bool(self._counts[self._codes[instrument]])

    def parts(self, instruments: Sequence[Instrument], *, whole: bool = False) -> Iterator[_Part]:
        """Yield the rows of some instruments, those of one event in one part.

        A part has up to some `HELD` rows, and more where an instrument has more than a thousand
        times as many, or where so many are known of one at nearly one time.

        Parameters
        ----------
        instruments : sequence of Instrument
            Each has rows.
        whole : bool
            The rows of an instrument stay together.

        Yields
        ------
        dict of str to ndarray, each of shape (n,)
            The columns of an event table; see `names`.
        """
        codes = sorted(self._codes[Instrument(*i)] for i in instruments)
        if not self._aside:
            part = self._joined()
            if len(codes) < len(self._codes):
                chosen = np.zeros(len(self._codes), dtype=bool)
                chosen[codes] = True
                rows = chosen[part["instrument"]]
                part = {name: values[rows] for name, values in part.items()}
            yield _named(part)
            return
        if self._held:
            self._put_aside()
        stored = {name: aside.arrays() for name, aside in self._aside.items()}
        shares = stored.pop("share")
        for group in self._groups(codes, whole=whole):
            places = [
                (batch, *place)
                for batch, share in enumerate(shares)
                for place in _places(self._starts[batch], share, group)
            ]
            if places:
                yield _named(_gathered(stored, places))

    def _groups(self, codes: Sequence[int], *, whole: bool) -> Iterator[list[tuple[int, int, int]]]:
        """Yield what parts hold: instruments, each with the first share and the one after."""
        group: list[tuple[int, int, int]] = []
        rows = 0
        for code in codes:
            mine = int(self._counts[code])
            if mine > HELD and not whole:
                edges = np.linspace(0, _SHARES, min(-(-mine // HELD), _SHARES) + 1).astype(int)
                yield from ([(code, low, high)] for low, high in pairwise(edges.tolist()))
                continue
            if group and rows + mine > HELD:
                yield group
                group, rows = [], 0
            group.append((code, 0, _SHARES))
            rows += mine
        if group:
            yield group

    def _joined(self) -> _Part:
        if len(self._held) > 1:
            names = list(self._held[0])
            joined = {n: np.concatenate([each.pop(n) for each in self._held]) for n in names}
            self._held = [joined]
        return self._held[0]

    def _put_aside(self) -> None:
        """Put aside what is held, by instrument and share; what shares both keeps its order."""
        part = self._joined()
        self._held, self._waiting = [], 0
        code = part["instrument"]
        part["share"] = _share(part)
        order = np.argsort(part["share"], kind="stable")
        if len(self._codes) > 1:
            order = order[np.argsort(code[order], kind="stable")]
        counts = np.bincount(code, minlength=len(self._codes))
        self._starts.append(np.concatenate([[0], np.cumsum(counts)]))
        for name in list(part):
            self._aside.setdefault(name, Aside(self._folder)).put(part.pop(name)[order])


def _share(part: Columns) -> npt.NDArray[np.uint16]:
    """Return a hash of what rows of one event agree in; neighbours mostly share it."""
    number, at = part["seq"] >> _NUMBERS, part["ts_event"] >> _TIMES
    bits = np.where(part["seq"] >= 0, number, at).view(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # SplitMix64
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    return (bits >> np.uint64(64 - _SHARE_BITS)).astype(np.uint16)


def _places(
    starts: IntArray, share: npt.NDArray[np.uint16], group: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[int, int]]:
    """Yield where the rows of a group begin and end in what was put aside at one time."""
    for code, low, high in group:
        first, last = int(starts[code]), int(starts[code + 1])
        if high - low < _SHARES:
            within = np.searchsorted(share[first:last], np.array([low, high], dtype=share.dtype))
            first, last = first + int(within[0]), first + int(within[1])
        if first < last:
            yield first, last


def _gathered(
    stored: Mapping[str, Sequence[npt.NDArray[Any]]], places: Sequence[tuple[int, int, int]]
) -> _Part:
    """Return the rows at some places, by time: what is put in order after it nearly is."""
    order: IntArray | None = None
    part: _Part = {}
    for name in sorted(stored, key=lambda name: name != "ts_event"):
        values = np.concatenate([stored[name][batch][a:b] for batch, a, b in places])
        if order is None:
            order = np.argsort(values, kind="stable")
        part[name] = values[order]
    return part


def _named(part: _Part) -> _Part:
    code = part["instrument"]
    named = {name: values for name, values in part.items() if name != "instrument"}
    return {**named, "venue": code, "symbol": code}


def _instrument_codes(columns: Columns, names: Names, codes: Mapping[Instrument, int]) -> IntArray:
    table = np.full((len(names["venue"]), len(names["symbol"])), -1, dtype=np.int64)
    for i, venue in enumerate(names["venue"]):
        for j, symbol in enumerate(names["symbol"]):
            table[i, j] = codes.get(Instrument(venue, symbol), -1)
    picked: IntArray = table[columns["venue"], columns["symbol"]]
    return picked


class Runs:
    """Records in canonical order, run by run, and the merging of all runs of one name.

    Records of two runs never tie in time, kind, instrument and the venue's number.

    Parameters
    ----------
    folder : Path or None
        Where runs are put aside; None holds all of them.
    """

    def __init__(self, folder: Path | None) -> None:
        self._events = Aside(folder)
        self._numbers = Aside(folder)
        self._names: list[str] = []
        self._rows: Counter[str] = Counter()

    def put(self, name: str, events: Events, numbers: IntArray) -> None:
        """Take a run and the venue's number of each record."""
        if len(events):
            self._names.append(name)
            self._rows[name] += len(events)
            self._events.put(events)
            self._numbers.put(numbers)

    def close(self) -> None:
        """Let go of what was put aside."""
        self._events.close()
        self._numbers.close()

    def rows(self, name: str) -> int:
        """Return how many records there are of one name."""
        return self._rows[name]

    def merged(self, name: str) -> Iterator[Events]:
        """Yield all records of one name in canonical order, slice by slice."""
        every = zip(self._names, self._events.arrays(), self._numbers.arrays(), strict=True)
        runs = [(events, numbers) for of, events, numbers in every if of == name]
        if len(runs) == 1:
            yield runs[0][0]
            return
        starts = [0] * len(runs)
        for cut in [*_cuts(runs), None]:
            ends = [
                len(events) if cut is None else _before(events, cut, start)
                for (events, _), start in zip(runs, starts, strict=True)
            ]
            places = list(zip(runs, starts, ends, strict=True))
            events = np.concatenate([run[0][a:b] for run, a, b in places])
            numbers = np.concatenate([run[1][a:b] for run, a, b in places])
            keys = [events[name] for name in ("ts_known", "ts_event", "kind", "instrument")]
            yield events[lexicographic_order([*keys, numbers])]
            starts = ends

    def collected(self, name: str) -> Events:
        """Return all records of one name in canonical order."""
        rows = self.rows(name)
        parts = self.merged(name)
        first = next(parts)
        if len(first) == rows:
            return first
        out = np.empty(rows, dtype=EVENT_DTYPE)
        out[: len(first)] = first
        done = len(first)
        for part in parts:
            out[done : done + len(part)] = part
            done += len(part)
        return out


def _cuts(runs: Sequence[_Run]) -> list[tuple[Ns, Ns]]:
    """Return times, known and of the event, that cut all runs into slices of like size."""
    rows = max(HELD // _SLICES, 1)
    step = max(rows // _SAMPLES, 1)
    known, event = (
        np.concatenate([events[name][::step] for events, _ in runs])
        for name in ("ts_known", "ts_event")
    )
    every = rows // step
    chosen = lexicographic_order([known, event])[every::every]
    return list(zip(known[chosen].tolist(), event[chosen].tolist(), strict=True))


def _before(events: Events, cut: tuple[Ns, Ns], start: int) -> int:
    """Return how many records lie before a time; `start` do."""
    known, event = events["ts_known"], events["ts_event"]
    return bisect_left(range(len(events)), cut, start, key=lambda i: (known[i], event[i]))
