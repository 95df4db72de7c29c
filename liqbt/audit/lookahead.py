"""Look-ahead: everything that was not yet known at a cut is replaced by schema-valid garbage.

No forecast issued by then may change: what cannot see the future cannot notice.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.audit.values import AuditResult, first_difference
from liqbt.errors import DataError
from liqbt.study.summary import iso
from liqbt.study.traces import AuditTrace
from liqbt.tape.values import Tape, tape_from_events
from liqbt.types import DAY_NS, HOUR_NS, PAYLOAD, Events, Kind, Ns

Pipeline: TypeAlias = Callable[[Tape, Ns | None], Sequence[AuditTrace]]
"""From a tape, and the last time of issue (None: all), to what is issued: bytes by field."""
_PRICES: Final = {"price", "open", "high", "low", "close"}
_KEPT: Final = 0.9
"""Share of the buckets that poison leaves in place; the others are left out."""


def lookahead(
    load: Callable[[], Tape],
    pipeline: Pipeline,
    *,
    cuts: int,
    rng: np.random.Generator,
    progress: Callable[[int], None] | None = None,
) -> AuditResult:
    """Hold the poison property against a pipeline of estimator and calibration.

    Parameters
    ----------
    load : callable
        Returns the tape. It is called anew for every cut and the tape is dropped in between, so
        that an estimator which went looking for a tape in memory finds only the poisoned one.
    pipeline : callable
        Builds everything anew from the tape it is given and returns what it issues.
    cuts : int
        How many prefixes are tried: spread over the times of issue, with the first and the last;
        and half as many again that end at a landmark, since what is wrong there alone and sees
        little ahead changes nothing in a prefix that ends elsewhere.
    rng : numpy.random.Generator
        Chooses the cuts and the garbage.
    progress : callable, optional
        Called with the number of cuts done.

    Returns
    -------
    AuditResult

    Raises
    ------
    DataError
        If nothing is issued at all: that is no pass.

    Notes
    -----
    The pipeline should hand the estimator *views* of the tape, not copies: copies starve one that
    climbs a slice's `.base`, and what is starved is not caught.
    """
    tape = load()
    honest = list(pipeline(tape, None))
    times = np.array(sorted({item.at for item in honest}), dtype=np.int64)
    del tape
    if len(times) == 0:
        raise DataError("nothing was issued, so there is nothing to audit")
    chosen = _choose(times, cuts, rng)
    compared = 0
    first = None
    with _rest_set_aside():
        for done, cut in enumerate(chosen.tolist()):
            gc.collect()
            tape = poisoned(load(), cut, rng)
            gc.collect()
            again = list(pipeline(tape, cut))
            del tape
            expected = [item for item in honest if item.at <= cut]
            compared += len(expected)
            first = first_difference(expected, again, f"events known from {iso(cut)} on replaced")
            if progress is not None:
                progress(done + 1)
            if first is not None:
                break
    return AuditResult(
        audit="lookahead",
        trials=len(chosen),
        compared=compared,
        first=first,
    )


@contextmanager
def _rest_set_aside() -> Iterator[None]:
    """Collect garbage, and look afterwards only through what has been made since.

    A collection before and after every cut leaves nothing of another cut's events in memory; most
    of what it would look through are modules.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _choose(
    times: npt.NDArray[np.int64], cuts: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Choose the first and the last time, and one at random from each stretch between.

    Of the landmarks (times at which a day begins) the last, and one of each such stretch.
    """
    landmarks = times[times % DAY_NS == 0]
    return np.unique([*_spread(times, cuts, rng), *_spread(landmarks, cuts // 2, rng)[1:]])


def _spread(
    times: npt.NDArray[np.int64], cuts: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    if len(times) == 0:
        return times
    edges = np.linspace(0, len(times) - 1, max(cuts - 1, 2)).astype(int)
    inner = [int(rng.integers(low, high)) for low, high in pairwise(edges) if high > low]
    return times[[0, *inner, len(times) - 1]]


def poisoned(tape: Tape, cut: Ns, rng: np.random.Generator) -> Tape:
    """Return `tape` with everything known at or after `cut` replaced by schema-valid garbage.

    Kinds and instruments stay those of the tape. Prices wander off by up to a factor of four and
    sizes are of another order. Instants get other times and another number; of the bars, totals
    and averages some are left out and the others keep their buckets, which must not overlap.
    """
    events = tape.events
    keep = int(np.searchsorted(events["ts_known"], cut, side="left"))
    rest = events[keep:]
    if len(rest) == 0:
        return tape
    bucketed = rest["span_s"] > 0
    instants = np.flatnonzero(~bucketed)
    buckets = np.flatnonzero(bucketed)
    n = int(len(instants) * rng.uniform(0.5, 1.5))
    moved = rest[rng.choice(instants, n)] if n else rest[:0].copy()
    moved["ts_known"] = rng.integers(cut, int(rest["ts_known"][-1]) + n + 2, n)
    moved["ts_event"] = moved["ts_known"] - rng.integers(0, HOUR_NS, n)
    kept = rest[buckets[rng.random(len(buckets)) < _KEPT]]
    garbage = np.concatenate([moved, kept])
    if len(garbage) == 0:  # a tape that ends before the cut is not asked for a forecast there
        garbage = rest.copy()
    for kind in Kind:
        _garble(garbage, kind, rng)
    payload = tuple(garbage[f"p{i}"] for i in range(4, -1, -1))
    order = np.lexsort(
        (
            *payload,
            garbage["instrument"],
            garbage["kind"],
            garbage["ts_event"],
            garbage["ts_known"],
        )
    )
    return tape_from_events(np.concatenate([events[:keep], garbage[order]]), tape.instruments)


def _garble(garbage: Events, kind: Kind, rng: np.random.Generator) -> None:
    """Replace the payloads of one kind, in place, by values that the schema allows."""
    rows = np.flatnonzero(garbage["kind"] == kind)
    names = PAYLOAD[kind]
    wander = np.exp(rng.uniform(-1.4, 1.4, len(rows)))
    for i, name in enumerate(names):
        if name == "interval_hours":
            continue
        factor = wander if name in _PRICES else np.exp(rng.normal(0.0, 2.0, len(rows)))
        garbage[f"p{i}"][rows] *= factor
