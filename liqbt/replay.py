"""Replay: one loop that hands an estimator a prefix of the tape and then asks for a forecast.

The future is *absent*, not guarded: an estimator receives copies of the events with
`ts_known < at`, and nothing through which later ones could be reached. Everything that it may
carry from one call to the next is in `state()`: a replay can stop anywhere and go on bit for bit.
"""

from __future__ import annotations

import json
import math
import os
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from liqbt.errors import DataError, EstimatorError, LiqbtError, first_line
from liqbt.forecasts import ROW_DTYPE, ForecastBatch, Forecasts, joined_clusters
from liqbt.tape.values import Tape
from liqbt.types import CLUSTER_DTYPE, EVENT_DTYPE, Clusters, Events, Forecast, IntArray, Ns
from liqbt.watch import Phase, during

State = Mapping[str, npt.NDArray[Any]]
Slicer = Callable[[Events, int, int], Events]

_BATCH: Final = 1 << 18
_TOGETHER: Final = 1 << 14
"""So many events, or fewer, are handed over with several times to issue at: a megabyte, so that
what was copied is still near the processor when it is read."""
_AT_ONCE: Final = 256
"""At so many times at most one call issues."""
_CHECKED_AT_ONCE: Final = 1024
_NO_TIMES: Final = np.zeros(0, dtype=np.int64)
_READS_DENSITY: Final = (
    "the magnet's dose-response reads the estimated notional at every distance, not the clusters; "
    "give it in USD as density_usd of shape (2, n), for instance by "
    "liqbt.estimators.forecast_from_density"
)


class Estimator(Protocol):
    """A fold over events that can be asked, at any moment, for a forecast.

    A forecast is a pure function of the events received so far, the configuration and the seed. An
    experiment makes one as `Class(params, market)`: an instance of the class's `Params` and a
    `liqbt.estimators.MarketSpec`; or as `Class(market)` where the class has no `Params`. What it
    reads then besides these, the class names in `files`, relative to its module; while it is asked
    it reads nothing (`liqbt.watch`).
    """

    def update(self, events: Events) -> None:
        """Take in the next events, in canonical order; the array is read-only."""

    def forecast(self, at: Ns) -> Forecast | None:
        """Issue a forecast from what was received; None while there is too little to issue one."""

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything that is needed to go on bit for bit."""

    def restore(self, state: State) -> None:
        """Become the estimator that returned `state`; its configuration must be the same."""


class BatchEstimator(Estimator, Protocol):
    """An estimator that can also be asked for many forecasts in one call.

    It is, unless a class derived from it overrides what it takes in or issues: then that is asked.
    """

    def forecast_batches(
        self, events: Events, cuts: IntArray, at: IntArray
    ) -> Iterator[ForecastBatch]:
        """Take in the next events and issue on the way: at `at[i]` what `events[:cuts[i]]` say.

        The events end where the last forecast is made. The same, bit for bit, as `update` with the
        events up to each cut and `forecast` there.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a replay stands, and what its estimator knows there.

    Attributes
    ----------
    tape : str
        Digest of the tape.
    position : int
        Number of events handed over.
    issued : int
        Number of scheduled times that were asked for.
    state : mapping of str to ndarray
        The estimator's state.
    """

    tape: str
    position: int
    issued: int
    state: State


def schedule(start: Ns, end: Ns, every: Ns) -> IntArray:
    """Return the multiples of `every` (counted from 1970) in `[start, end)`, as int64 ns.

    Examples
    --------
    >>> schedule(5, 31, 10).tolist()
    [10, 20, 30]
    """
    first = -(-start // every) * every
    # np.arange counts its steps in floating point, which loses nanoseconds over a year
    return first + every * np.arange(max(0, -(-(end - first) // every)), dtype=np.int64)


def copied(events: Events, start: int, stop: int) -> Events:
    """Return events `[start, stop)` as a read-only array whose base is their own bytes alone."""
    return np.frombuffer(events[start:stop].tobytes(), dtype=EVENT_DTYPE)


def replay(
    tape: Tape,
    estimator: Estimator,
    times: IntArray,
    *,
    batch: int = _BATCH,
    slicer: Slicer = copied,
    progress: Callable[[int], None] | None = None,
) -> Sequence[Forecast]:
    """Hand `estimator` the tape and collect its forecasts at `times`.

    Parameters
    ----------
    tape : Tape
        Events in canonical order.
    estimator : Estimator
        Fresh, or restored from nothing.
    times : ndarray of int64, shape (n,)
        When to ask, ns UTC, rising. At each, exactly the events with `ts_known < at` were seen.
    batch : int
        At most so many events are handed over in one call. It changes no result.
    slicer : callable
        How a slice is cut out; anything but the default belongs to an audit.
    progress : callable, optional
        Called with the number of scheduled times done so far.

    Returns
    -------
    sequence of Forecast
        Those that the estimator issued; it may decline early ones. `Forecasts` in flat arrays
        where it issues in batches, else a list.

    Raises
    ------
    EstimatorError
        The estimator raised, returned what is no forecast, or a forecast holds a number that none
        can hold or claims to know an event that it cannot have seen; names estimator and time.
    """
    made = {"": estimator}
    return replay_many(tape, made, times, batch=batch, slicer=slicer, progress=progress)[""]


def replay_many(
    tape: Tape,
    estimators: Mapping[str, Estimator],
    times: IntArray,
    *,
    batch: int = _BATCH,
    slicer: Slicer = copied,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Sequence[Forecast]]:
    """Hand several estimators the tape in one pass and collect their forecasts at `times`.

    Each slice is cut once and handed to all of them; to those that issue in batches a slice up to
    the last of several times. What each issues is bit for bit what it would have issued alone.

    Parameters
    ----------
    tape, times, batch, slicer, progress
        As in `replay`.
    estimators : mapping of str to Estimator
        By name, each fresh.

    Returns
    -------
    dict of str to sequence of Forecast
        What each issued, by name.

    Raises
    ------
    EstimatorError
        As in `replay`.
    """
    asked = {name: _asked(estimator) for name, estimator in estimators.items()}
    together = any(isinstance(each, _Batched) for each in asked.values())
    size, most = (min(batch, _TOGETHER), _AT_ONCE) if together else (batch, 1)
    cuts, cut = _cuts(tape, times), _Cutter(tape, slicer)
    for first, last, begin, end in _groups(cuts, 0, 0, size, most):
        for each in asked.values():
            each.take(cut, begin, end, cuts[first:last], times[first : last + 1])
        if progress is not None:
            for done in range(first, last):
                progress(done + 1)
    return {name: each.issued() for name, each in asked.items()}


def replay_from(
    checkpoint: Checkpoint,
    tape: Tape,
    estimator: Estimator,
    times: IntArray,
    *,
    batch: int = _BATCH,
    slicer: Slicer = copied,
) -> Iterator[tuple[int, Forecast | None]]:
    """Go on from `checkpoint`, yielding the tape position and the forecast of each scheduled time.

    The estimator is restored first unless the checkpoint's state is empty. After each item the
    caller may build a `Checkpoint` from the position, the count of items so far and
    `estimator.state()`.

    Raises
    ------
    DataError
        The checkpoint is of another tape.
    EstimatorError
        The estimator raised, returned what is no forecast, or claims to know the future.
    """
    if checkpoint.tape != tape.digest:
        raise DataError(
            f"the checkpoint is of tape {checkpoint.tape[:12]}, this is tape {tape.digest[:12]}"
        )
    if checkpoint.state:
        estimator.restore(checkpoint.state)
    cuts, cut = _cuts(tape, times), _Cutter(tape, slicer)
    started = checkpoint.issued, checkpoint.position
    for first, last, begin, end in _groups(cuts, *started, batch, 1):
        one = _Single(estimator)
        one.take(cut, begin, end, cuts[first:last], times[first : last + 1])
        if last > first:
            yield end, one.forecasts[0] if one.forecasts else None


def _cuts(tape: Tape, times: IntArray) -> IntArray:
    """Return how many events are known before each time, without a copy of the tape's own times."""
    known = tape.events["ts_known"]
    low, high = np.zeros(len(times), np.int64), np.full(len(times), len(known))
    while len(known) and (low < high).any():
        middle = np.minimum((low + high) // 2, len(known) - 1)
        before = (known[middle] < times) & (low < high)
        low, high = (
            np.where(before, middle + 1, low),
            np.where(before, high, np.minimum(middle, high)),
        )
    return low


def _groups(
    cuts: IntArray, first: int, begin: int, size: int, most: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield from and to which scheduled time, and which events, an estimator takes in one call.

    The events end where the last of the times is; at most `size`, and `most` times. Where there
    are more before one time, events come without a time.
    """
    while first < len(cuts):
        last = int(np.searchsorted(cuts[first : first + most], begin + size, side="right")) + first
        end = int(cuts[last - 1]) if last > first else begin + size
        yield first, last, begin, end
        first, begin = last, end


class _Cutter:
    """Cuts slices of a tape; the last is kept, so that several estimators are handed the same."""

    def __init__(self, tape: Tape, slicer: Slicer) -> None:
        self._tape, self._slicer, self._last = tape, slicer, (0, 0)
        self._cut = slicer(tape.events, 0, 0)

    def __call__(self, start: int, stop: int) -> Events:
        if self._last != (start, stop):
            self._last, self._cut = (start, stop), self._slicer(self._tape.events, start, stop)
        return self._cut


class _Single:
    """An estimator that is asked for one forecast after the other, and what it issued."""

    def __init__(self, estimator: Estimator) -> None:
        self.estimator, self.checked = estimator, 0
        self.forecasts: list[Forecast] = []

    def take(self, cut: _Cutter, begin: int, end: int, cuts: IntArray, at: IntArray) -> None:
        """Hand over events up to each cut and ask; without cuts, those before the next time."""
        for i, stop in enumerate(cuts.tolist() or [end]):
            now = int(at[i])
            if stop > begin:
                with _blamed(self.estimator, now):
                    self.estimator.update(cut(begin, stop))
            if len(cuts):
                with _blamed(self.estimator, now):
                    forecast = self.estimator.forecast(now)
                if forecast is not None:
                    _check(forecast, now, self.estimator)
                    self.forecasts.append(forecast)
            begin = stop
        if len(self.forecasts) - self.checked >= _CHECKED_AT_ONCE:
            self.issued()

    def issued(self) -> Sequence[Forecast]:
        """Return what it issued, its arrays checked."""
        require_arrays(self.forecasts[self.checked :], self.estimator)
        self.checked = len(self.forecasts)
        return self.forecasts


class _Batched:
    """An estimator that issues in batches, and what it issued."""

    def __init__(self, estimator: BatchEstimator) -> None:
        self.estimator, self.checked = estimator, 0
        self.batches: list[ForecastBatch] = []
        self.asked: list[IntArray] = []

    def take(self, cut: _Cutter, begin: int, end: int, cuts: IntArray, at: IntArray) -> None:
        """Hand over events and ask for what they say at each cut."""
        times = at[: len(cuts)]
        with _blamed(self.estimator, int(at[max(len(cuts) - 1, 0)])):
            made = self.estimator.forecast_batches(cut(begin, end), cuts - begin, times)
            self.batches += [batch for batch in made if len(batch)]
        self.asked.append(times)
        if len(self.batches) - self.checked >= _CHECKED_AT_ONCE // 16:
            self.issued()

    def issued(self) -> Sequence[Forecast]:
        """Return what it issued, checked: rows at once, and the first that is wrong by itself."""
        made, times = self.batches[self.checked :], np.concatenate([_NO_TIMES, *self.asked])
        if not _sound(made, times):
            wrong = Forecasts(made)
            scheduled = set(times.tolist())
            for forecast in wrong:
                _check(forecast, forecast.at if forecast.at in scheduled else -1, self.estimator)
                require_arrays([forecast], self.estimator)
            raise EstimatorError(
                f"{_named(self.estimator, int(times[-1]))} returned two forecasts of one time"
            )
        self.checked, self.asked = len(self.batches), []
        return Forecasts(self.batches)


def _asked(estimator: Estimator) -> _Single | _Batched:
    """Return how an estimator is asked: in batches if nothing that it was derived to do is lost."""
    for cls in type(estimator).__mro__:
        if "forecast_batches" in vars(cls):
            return _Batched(cast(BatchEstimator, estimator))
        if "update" in vars(cls) or "forecast" in vars(cls):
            break
    return _Single(estimator)


def _sound(batches: Sequence[ForecastBatch], times: IntArray) -> bool:
    """Return whether everything in batches that were asked for at `times` can be right."""
    if not batches:
        return True
    rows = np.frombuffer(b"".join(batch.rows.tobytes() for batch in batches), ROW_DTYPE)
    at, mark, sigma = rows["at"], rows["mark"], rows["sigma_1d"]
    place = np.searchsorted(times, at)
    return bool(
        (np.diff(place) > 0).all()
        and place[-1] < len(times)
        and (times[place] == at).all()
        and (rows["latest_known"] < at).all()
        and (rows["mark_ts"] < at).all()
        and ((mark > 0.0) & (mark < math.inf) & (sigma >= 0.0) & (sigma < math.inf)).all()
        and (np.abs(rows["asymmetry"]) <= 1.0).all()
        and not _wrong_clusters(joined_clusters(Forecasts(batches))).any()
        and all(
            len(batch.density_usd) == 0
            or (batch.density_usd.min() >= 0.0 and batch.density_usd.max() < math.inf)
            for batch in batches
        )
    )


@contextmanager
def _blamed(estimator: object, at: Ns) -> Iterator[None]:
    """Say which estimator failed, and when; one of one's own reaches for nothing meanwhile."""
    own = not type(estimator).__module__.startswith("liqbt.")
    try:
        with during(Phase.ASKED, type(estimator).__name__) if own else nullcontext():
            yield
    except EstimatorError as error:
        raise EstimatorError(f"{_named(estimator, at)} failed: {error}") from error
    except (LiqbtError, MemoryError):
        raise
    except Exception as error:
        said, last = first_line(error), traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        raise EstimatorError(f"{_named(estimator, at)} failed with {said} ({where})") from error


def _named(estimator: object, at: Ns) -> str:
    moment = np.datetime64(at, "ns").astype("datetime64[s]")
    return f"estimator {type(estimator).__name__}, asked for {moment}Z,"


def _check(forecast: object, at: Ns, estimator: object) -> None:
    """Refuse what is no forecast, or dates itself otherwise than it was asked for."""
    if not isinstance(forecast, Forecast):
        raise EstimatorError(
            f"{_named(estimator, at)} returned {type(forecast).__name__}; expected a "
            "Forecast or None"
        )
    try:
        problem = _problem(forecast, at)
    except (TypeError, AttributeError) as error:
        problem = f"is malformed: {error}"
    if problem:
        raise EstimatorError(f"{_named(estimator, at)} returned a forecast that {problem}")


def _problem(forecast: Forecast, at: Ns) -> str:
    """Return what cannot be right about a forecast's scalars and the form of its arrays."""
    if forecast.at != at:
        return f"says it was issued at {forecast.at}; it must say when it was issued"
    if not (forecast.latest_known < at and forecast.mark_ts < at):
        late = "latest_known" if not forecast.latest_known < at else "mark_ts"
        return (
            f"claims to know an event of {getattr(forecast, late)} ({late}); only events with "
            "ts_known < at may be used"
        )
    if not (0.0 < forecast.mark < math.inf and 0.0 <= forecast.sigma_1d < math.inf):
        return f"holds mark {forecast.mark} and sigma_1d {forecast.sigma_1d}"
    if not -1.0 <= forecast.asymmetry <= 1.0:
        return f"holds asymmetry {forecast.asymmetry}; expected a number from -1 to 1"
    if getattr(forecast.density_usd, "shape", None) is None:
        return f"holds {forecast.density_usd!s:.40} as density_usd: {_READS_DENSITY}"
    if forecast.density_usd.ndim != 2 or len(forecast.density_usd) != 2:
        return f"holds density_usd of shape {forecast.density_usd.shape}; expected (2, n)"
    ends, expected = forecast.notional_interval, (len(forecast.clusters), 2)
    if ends is not None and getattr(ends, "shape", None) != expected:
        return f"holds notional_interval of shape {np.shape(ends)}; expected {expected}"
    if forecast.clusters.dtype != CLUSTER_DTYPE:
        return f"holds clusters of {forecast.clusters.dtype}; expected CLUSTER_DTYPE"
    return ""


def require_arrays(issued: Sequence[Forecast], estimator: object) -> None:
    """Refuse densities and clusters that hold NaN or what no price or notional can be."""
    if not issued:
        return
    density = np.concatenate([forecast.density_usd.ravel() for forecast in issued])
    if len(density) and not (density.min() >= 0.0 and density.max() < math.inf):  # NaN is neither
        sizes = [forecast.density_usd.size for forecast in issued]
        bad = ~(density >= 0.0) | np.isinf(density)
        _refuse_first(issued, sizes, bad, "density_usd", estimator)
    clusters = joined_clusters(issued)
    sizes = [len(f.clusters) for f in issued]
    _refuse_first(issued, sizes, _wrong_clusters(clusters), "clusters", estimator)


def _wrong_clusters(clusters: Clusters) -> npt.NDArray[np.bool_]:
    """Return which clusters hold NaN or what no price or notional can be."""
    bad = ~((clusters["low"] > 0.0) & (clusters["high"] > clusters["low"]))
    for name in ("high", "peak", "notional_usd", "density_rank"):
        bad |= ~np.isfinite(clusters[name])
    return np.asarray(bad | (np.abs(clusters["side"]) != 1))


def _refuse_first(
    issued: Sequence[Forecast],
    sizes: Sequence[int],
    bad: npt.NDArray[np.bool_],
    name: str,
    estimator: object,
) -> None:
    if bad.any():
        place = int(np.searchsorted(np.cumsum(sizes), int(np.argmax(bad)), side="right"))
        raise EstimatorError(
            f"{_named(estimator, issued[place].at)} returned a forecast whose {name} holds NaN or "
            "a number that cannot be right"
        )


def require_density(issued: Sequence[Forecast]) -> None:
    """Refuse forecasts that hold clusters, and nowhere a density.

    Raises
    ------
    EstimatorError
        Says what is read, and how to give it.
    """
    first = next((forecast for forecast in issued if len(forecast.clusters)), None)
    if first is not None and not any(forecast.density_usd.any() for forecast in issued):
        raise EstimatorError(
            f"the estimator of {first.symbol} returned clusters, and a density of nothing in any "
            f"of {len(issued)} forecasts: {_READS_DENSITY}"
        )


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint` to `path` (npz, no pickles): whole or not at all."""
    head = {
        "tape": checkpoint.tape,
        "position": checkpoint.position,
        "issued": checkpoint.issued,
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with partial.open("wb") as file:
        arrays: dict[str, Any] = {f"state.{k}": np.asarray(v) for k, v in checkpoint.state.items()}
        np.savez(file, head=np.array(json.dumps(head)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that `save_checkpoint` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            head = json.loads(str(file["head"]))
            state = {
                key.removeprefix("state."): file[key]
                for key in file.files
                if key.startswith("state.")
            }
        return Checkpoint(state=state, **head)
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable replay checkpoint ({error})") from error
