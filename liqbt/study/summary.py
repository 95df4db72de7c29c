"""What a run says about its data: completeness, gaps, latency, versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.log.one_value import ONE_VALUE
from liqbt.log.store import EventLog
from liqbt.plausibility.feeds import feeds_of_events
from liqbt.plausibility.findings import findings
from liqbt.plausibility.leak_test import leak_tests
from liqbt.study.schema import MarketConfig
from liqbt.tape.values import Tape
from liqbt.types import SECOND_NS, Instrument, Kind, Ns

_PERIODIC: Final = (
    Kind.BAR,
    Kind.MARK,
    Kind.OPEN_INTEREST,
    Kind.LIQUIDATION_TOTAL,
    Kind.FUNDING,
    Kind.DEPTH,
)
_PACKAGES: Final = ("arch", "numba", "numpy", "pandas", "pyarrow", "scipy", "statsmodels")
_LATE: Final = 1.5


def iso(ns: Ns) -> str:
    """Return a time as ISO 8601 in UTC, to the second.

    Examples
    --------
    >>> iso(1_764_547_500_000_000_000)
    '2025-12-01T00:05:00Z'
    """
    return datetime.fromtimestamp(ns // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions() -> dict[str, str]:
    """Return the versions of what computes."""
    return {name: metadata.version(name) for name in ("liqbt", *_PACKAGES)}


def describe_market(market: MarketConfig, tape: Tape, log: EventLog) -> dict[str, Any]:
    """Return what a run's manifest says about one market's events.

    Parameters
    ----------
    market : MarketConfig
        Which instrument gives which kind.
    tape : Tape
        Its events.
    log : EventLog
        Where the sources declared their latencies.
    """
    return {
        **describe_feeds(market.events, market.price_kind, tape, log),
        "margin": market.margin and market.margin.model_dump(mode="json"),
    }


def describe_feeds(
    chosen: Mapping[Kind, Sequence[Instrument]], kind: Kind, tape: Tape, log: EventLog
) -> dict[str, Any]:
    """Return what a manifest says about the events of one market, whatever reads them.

    Parameters
    ----------
    chosen : mapping of Kind to sequence of Instrument
        Which instruments give which kind.
    kind : Kind
        The kind whose price is used.
    tape, log
        Its events, and where they came from.
    """
    instrument = chosen[kind][0]
    counts = np.bincount(tape.events["kind"], minlength=max(Kind) + 1).tolist()
    points = counts[kind] > 0 and int(_column(tape, "span_s", kind)[0]) == 0
    shape = {Kind.MARK: "mark points" if points else "mark bars", Kind.BAR: "last-price bars"}
    price = f"{shape.get(kind, 'trades')} of {instrument}"
    return {
        "price": price,
        "price_stand_in": None if kind == Kind.MARK else price,
        "tape": tape.digest,
        "events": {k.name.lower(): counts[k] for k in Kind if counts[k]},
        "instruments": [str(i) for i in tape.instruments],
        "first": iso(int(tape.events["ts_known"][0])),
        "last": iso(int(tape.events["ts_known"][-1])),
        "gaps": [
            _gaps(tape, k, i)
            for k, instruments in chosen.items()
            if k in _PERIODIC
            for i in instruments
        ],
        "latency": _latencies(tape, chosen, log),
        "notes": {
            place: words
            for place, words in _notes(log).items()
            if place in {_place(k, i) for k, instruments in chosen.items() for i in instruments}
        },
        **_doubts(tape),
    }


def _column(
    tape: Tape, name: str, kind: Kind, instrument: Instrument | None = None
) -> npt.NDArray[Any]:
    """Return one column of the events of a kind, without a copy of all that they say."""
    mine = tape.events["kind"] == kind
    if instrument is not None:
        known = instrument in tape.instruments
        code = tape.instruments.index(instrument) if known else len(tape.instruments)
        mine &= tape.events["instrument"] == code
    found: npt.NDArray[Any] = tape.events[name][mine]
    return found


def _doubts(tape: Tape) -> dict[str, Any]:
    """Return what of a tape cannot be what it is said to be, and what was made of it.

    With it what the leak test says of every feed with one value per instant.
    """
    feeds = list(feeds_of_events(tape.events, tape.instruments))
    leaks = leak_tests(feeds)
    found = [asdict(finding) for finding in findings(feeds)]
    found += [
        {"check": "leak", "feed": one.feed, "count": one.changes, "text": one.text()}
        for one in leaks
        if one.leaks
    ]
    found += [
        {
            "check": "masked",
            "feed": f"open interest {m.instrument}",
            "count": m.nothing + m.alone + m.waited + m.tiny,
            "text": m.text(),
        }
        for m in tape.masked
    ]
    for feed in feeds:
        if feed.kind in ONE_VALUE and feed.kind != Kind.DEPTH:
            revised = int((feed.ts_event[1:] == feed.ts_event[:-1]).sum())
            if revised:
                text = f"{feed.name}: {revised} values were revised, each from when it was known"
                found.append(
                    {"check": "revised", "feed": feed.name, "count": revised, "text": text}
                )
    told = {"leaks": [asdict(one) for one in leaks]} if leaks else {}
    return told | ({"plausibility": found} if found else {})


def _gaps(tape: Tape, kind: Kind, instrument: Instrument) -> dict[str, Any]:
    """Return how complete one periodic feed is, from the spacing of its own events."""
    at = np.unique(_column(tape, "ts_event", kind, instrument))
    spacing = np.diff(at)
    typical = float(np.median(spacing)) if len(spacing) else float("nan")
    late = spacing > _LATE * typical
    expected = 1 + float(spacing.sum()) / typical if len(spacing) else float(len(at))
    return {
        "kind": kind.name.lower(),
        "instrument": str(instrument),
        "n": len(at),
        "typical_spacing_s": typical / SECOND_NS,
        "n_gaps": int(late.sum()),
        "longest_s": float(spacing.max()) / SECOND_NS if len(spacing) else float("nan"),
        "missing_share": max(0.0, 1.0 - len(at) / expected) if expected else float("nan"),
    }


def _latencies(
    tape: Tape, chosen: Mapping[Kind, Sequence[Instrument]], log: EventLog
) -> list[dict[str, Any]]:
    """Return the latency of each feed as it is in the tape, and whether all of it was observed."""
    said: dict[tuple[Kind, Instrument], set[str]] = defaultdict(set)
    for commit in log.standing():
        for segment in commit.segments:
            for instrument in segment.instruments:
                latency_is = str(commit.source.get("latency_is", "modelled"))
                said[segment.kind, instrument].add(latency_is)
    result = []
    for kind, instruments in chosen.items():
        for instrument in instruments:
            if instrument not in tape.instruments:
                continue
            known, at = (_column(tape, n, kind, instrument) for n in ("ts_known", "ts_event"))
            late = known - at
            result.append(
                {
                    "instrument": str(instrument),
                    "kind": kind.name.lower(),
                    "latency_s": float(np.median(late)) / SECOND_NS if len(late) else float("nan"),
                    "is": "observed" if said[kind, instrument] == {"observed"} else "modelled",
                }
            )
    return result


def log_info(path: Path) -> dict[str, Any]:
    """Return what the event log at `path` holds, as plain values.

    Raises
    ------
    LogError
        If there is none, or its commits are damaged.
    """
    log = EventLog.open(path)
    info = log.info()
    return {
        "path": str(log.path),
        "digest": info.digest,
        "commits": info.commits,
        "segments": info.segments,
        "bytes": info.size,
        "quarantined_rows": info.quarantined,
        "withdrawn": [{"file": file, "reason": reason} for file, reason in info.withdrawn],
        "leftovers": list(info.leftovers),
        "kinds": {
            kind.name.lower(): {
                "events": count,
                "instruments": [str(i) for i in info.instruments[kind]],
                "first": iso(info.event_ns[kind][0]),
                "last": iso(info.event_ns[kind][1]),
            }
            for kind, count in info.events.items()
        },
        "notes": _notes(log),
    }


def _notes(log: EventLog) -> dict[str, list[str]]:
    """Return by kind and venue what sources say of themselves in words, such as a throttle."""
    said: dict[str, set[str]] = {}
    for commit in log.standing():
        words = [v for v in dict(commit.source.get("notes", {})).values() if isinstance(v, str)]
        for segment in commit.segments:
            for place in {_place(segment.kind, i) for i in segment.instruments}:
                said.setdefault(place, set()).update(words)
    return {place: sorted(words) for place, words in sorted(said.items()) if words}


def _place(kind: Kind, instrument: Instrument) -> str:
    return f"{kind.name.lower()} of {instrument.venue}"


def describe_log(info: Mapping[str, Any]) -> str:
    """Return `log_info` as a table for people."""
    lines = [
        f"{info['path']}: {info['commits']} commits, {info['segments']} segments, "
        f"{info['bytes'] / 1e6:.1f} MB, {info['quarantined_rows']} rows quarantined",
        f"{'kind':<18}{'events':>12}  {'first':<22}{'last':<22}instruments",
    ]
    lines += [
        f"{kind:<18}{row['events']:>12,}  {row['first']:<22}{row['last']:<22}"
        + ", ".join(row["instruments"])
        for kind, row in info["kinds"].items()
    ]
    lines += [f"withdrawn: {row['file']}: {row['reason']}" for row in info["withdrawn"]]
    lines += [f"{place}: {'; '.join(words)}" for place, words in info["notes"].items()]
    return "\n".join(lines)


def log_verify(path: Path) -> list[str]:
    """Read the log at `path` anew; return one sentence on each thing wrong.

    Raises
    ------
    LogError
        If there is none.
    """
    return EventLog(path).verify()
