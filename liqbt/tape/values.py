"""Selection and Tape: what is asked of a log, and what a replay reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError, DataError, OrderError
from liqbt.types import EVENT_DTYPE, Events, Instrument, IntArray, Kind, Ns

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events a tape holds.

    Attributes
    ----------
    kinds : mapping of Kind to tuple of Instrument
        The instruments of each kind; a kind that is not named is left out.
    start_ns, end_ns : int or None
        Only events with `start_ns <= ts_known < end_ns`; None is no bound.

    Raises
    ------
    ConfigError
        Nothing is selected, a kind has no instrument or one twice, or the times are reversed.
    """

    kinds: Mapping[Kind, tuple[Instrument, ...]]
    start_ns: Ns | None = None
    end_ns: Ns | None = None

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ConfigError("a selection names no kind of event")
        for kind, instruments in self.kinds.items():
            if not instruments or len(set(instruments)) < len(instruments):
                raise ConfigError(
                    f"a selection of {Kind(kind).name.lower()} needs instruments, each once: got "
                    f"{[str(i) for i in instruments]}"
                )
        start, end = self.start_ns, self.end_ns
        if start is not None and end is not None and end <= start:
            raise ConfigError(f"a selection ends at {end}, not after its start at {start}")

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument that is named, sorted by venue and symbol."""
        return tuple(sorted({Instrument(*i) for each in self.kinds.values() for i in each}))

    def key(self) -> str:
        """Return canonical JSON: equal for equal selections, however they were written down."""
        kinds = {
            Kind(kind).name.lower(): sorted(list(i) for i in instruments)
            for kind, instruments in self.kinds.items()
        }
        return json.dumps([kinds, self.start_ns, self.end_ns], sort_keys=True)


Outliers: TypeAlias = Literal["mask", "keep", "refuse"]
"""What becomes of values of open interest that are not believed (`liqbt.plausibility`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """What was not believed of one feed of open interest, of what is known in a selection alone.

    Attributes
    ----------
    instrument : Instrument
        Whose.
    nothing, alone, waited : int
        Values of 0, values that the next one did not confirm within the selection, and values that
        were believed when the next one confirmed them.
    tiny : int
        Values next to 0: less than a thousandth of what was believed within the day before.
    """

    instrument: Instrument
    nothing: int
    alone: int
    waited: int
    tiny: int = 0

    def text(self) -> str:
        """Return it as a sentence."""
        tiny = f", {self.tiny} next to 0" if self.tiny else ""
        return (
            f"open interest {self.instrument}: {self.nothing} values of 0{tiny} and {self.alone} "
            f"single jumps left out as missing, {self.waited} jumps believed once the next value "
            "confirmed them"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tape:
    """Events in canonical order; made by `build_tape`, `tape_from_events` or `Tape.restrict`.

    Attributes
    ----------
    events : ndarray of EVENT_DTYPE, shape (n,)
        Read-only, perhaps memory-mapped.
    instruments : tuple of Instrument
        What `events["instrument"]` indexes, sorted by venue and symbol.
    digest : str
        SHA-256 of the instruments' names and every record's bytes.
    masked : tuple of Masked
        Values of open interest that were not believed, or later than they came.
    """

    events: Events
    instruments: tuple[Instrument, ...]
    digest: str
    masked: tuple[Masked, ...] = ()

    def __len__(self) -> int:
        return len(self.events)

    def prefix_index(self, at: Ns) -> int:
        """Return how many events have `ts_known < at`."""
        return int(np.searchsorted(self.events["ts_known"], at, side="left"))

    def of(self, kind: Kind) -> Events:
        """Return the events of `kind`, copied, read-only."""
        return _frozen(self.events[self.events["kind"] == kind])

    def restrict(self, selection: Selection) -> Tape:
        """Return the tape of a smaller selection, its instruments numbered anew.

        Raises
        ------
        DataError
            An instrument has no events of its kind on this tape.
        """
        codes = {instrument: i for i, instrument in enumerate(self.instruments)}
        keep = np.zeros(len(self.events), dtype=bool)
        for kind, wanted in selection.kinds.items():
            of_kind = self.events["kind"] == kind
            for instrument in wanted:
                rows = of_kind & (self.events["instrument"] == codes.get(instrument, -1))
                if not rows.any():
                    raise DataError(f"the tape has no {kind.name.lower()} of {instrument}")
                keep |= rows
        known = self.events["ts_known"]
        if selection.start_ns is not None:
            keep &= known >= selection.start_ns
        if selection.end_ns is not None:
            keep &= known < selection.end_ns
        instruments = selection.instruments
        renumber = np.zeros(max(len(self.instruments), 1), dtype=np.uint16)
        for new, instrument in enumerate(instruments):
            renumber[codes[instrument]] = new
        events = self.events[keep]
        events["instrument"] = renumber[events["instrument"]]
        left = tuple(m for m in self.masked if m.instrument in instruments)
        return replace(trusted_tape(events, instruments), masked=left)


def tape_from_events(events: Events, instruments: Sequence[Instrument]) -> Tape:
    """Return the tape of records that are in order already, checked once.

    Parameters
    ----------
    events : ndarray of EVENT_DTYPE, shape (n,)
        Copied.
    instruments : sequence of Instrument
        What `events["instrument"]` indexes; sorted by venue and symbol, each once.

    Raises
    ------
    OrderError
        `ts_known` falls, or records of one instant are not in order of `(ts_event, kind,
        instrument)`; names the rows.
    DataError
        `ts_known` lies before `ts_event`, a kind or an instrument is unknown, or the instruments
        are not sorted.
    """
    names = tuple(Instrument(*i) for i in instruments)
    if list(names) != sorted(set(names)):
        raise DataError(f"instruments must be sorted, each once: got {[str(i) for i in names]}")
    if events.dtype != EVENT_DTYPE or events.ndim != 1:
        raise DataError(f"events need a one-dimensional array of EVENT_DTYPE, got {events.dtype}")
    _refuse(events["ts_known"] < events["ts_event"], "ts_known lies before ts_event")
    known_kind = np.isin(np.arange(256), [int(k) for k in Kind])
    _refuse(~known_kind[events["kind"]], "the kind is unknown")
    _refuse(events["instrument"] >= len(names), "the instrument is unknown")
    _check_order(events)
    return trusted_tape(events.copy(), names)


def trusted_tape(events: Events, instruments: tuple[Instrument, ...]) -> Tape:
    """Return the tape of records that are known to be in order; takes the array over."""
    return Tape(
        events=_frozen(events), instruments=instruments, digest=record_digest(events, instruments)
    )


def record_digest(events: Events, instruments: Sequence[Instrument]) -> str:
    """Return the identity of a tape: SHA-256 of instruments and records."""
    digest = record_hash(instruments)
    for start in range(0, len(events), _CHUNK):
        digest.update(np.ascontiguousarray(events[start : start + _CHUNK]).view(np.uint8).data)
    return digest.hexdigest()


def record_hash(instruments: Sequence[Instrument]) -> hashlib._Hash:
    """Return the SHA-256 of a tape of no records, which those to come are fed to."""
    names = json.dumps([list(i) for i in instruments], separators=(",", ":"))
    return hashlib.sha256(f"{EVENT_DTYPE.descr}{names}".encode())


def _check_order(events: Events) -> None:
    known = np.ascontiguousarray(events["ts_known"])
    falls = known[1:] < known[:-1]
    if falls.any():
        raise OrderError(f"ts_known falls at {_rows(np.concatenate(([False], falls)))}")
    later = np.flatnonzero(known[1:] == known[:-1]) + 1
    behind = np.zeros(len(later), dtype=bool)
    equal = np.ones(len(later), dtype=bool)
    for name in ("ts_event", "kind", "instrument"):
        values = events[name]
        behind |= equal & (values[later] < values[later - 1])
        equal &= values[later] == values[later - 1]
    if behind.any():
        raise OrderError(
            "records of one instant are not in order of ts_event, kind and instrument at "
            f"{_numbers(later[behind])}"
        )


def _refuse(mask: npt.NDArray[np.bool_], what: str) -> None:
    if mask.any():
        raise DataError(f"{what} at {_rows(mask)}")


def _rows(mask: npt.NDArray[np.bool_]) -> str:
    return _numbers(np.flatnonzero(mask))


def _numbers(rows: IntArray) -> str:
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"rows {rows[:5].tolist()}{more}"


def _frozen(events: Events) -> Events:
    events.setflags(write=False)
    return events
