"""Forward: a registered experiment, stepped a day at a time, its forecasts written down at once.

A day of the record ends at midnight (UTC) and holds what is issued after the midnight before it and
up to its own: so the forecast of midnight, whose window does not overlap that of the next, is
written down as soon as it can be. `step` goes on where each estimator stood, and is an ordinary
replay; `report` is an ordinary run over what was recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow.parquet as pq

from liqbt.config.fields import format_duration
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.config import PRIMARY_NS, horizon_name
from liqbt.evaluation.monitoring import bets, monitored, window_end
from liqbt.forecasts import forecast_bytes
from liqbt.log.disk import locked, read_parquet, sha256, sha256_file
from liqbt.log.disk import replace as write_whole
from liqbt.registry.forward import Chain, Link, Start, append, forward_folder, read_forward
from liqbt.registry.ledger import run_identity
from liqbt.registry.registrations import Registration, deviations, parts_of, registered_cards
from liqbt.replay import (
    Checkpoint,
    load_checkpoint,
    replay_from,
    replay_many,
    require_arrays,
    save_checkpoint,
    schedule,
)
from liqbt.study.estimators import build_estimator, build_estimators, estimator_sources
from liqbt.study.events import open_events
from liqbt.study.identity import code_digest, lock_digest
from liqbt.study.own_code import make_importable
from liqbt.study.pipeline import Study
from liqbt.study.plan import claims_value, prepare_experiment
from liqbt.study.progress import Stage, silent
from liqbt.study.run import run_plan
from liqbt.study.schema import Experiment, configuration_identity, load_experiment
from liqbt.study.store import Run, forecast_table, forecasts_of, json_value
from liqbt.study.summary import iso
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection, Tape
from liqbt.types import DAY_NS, HOUR_NS, Forecast, IntArray, Kind, Ns

_WEEK_NS: Final = 7 * DAY_NS
_FORCED: Final = (Kind.LIQUIDATION, Kind.LIQUIDATION_TOTAL)

Tapes: TypeAlias = Mapping[str, Tape]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """What a step did.

    Attributes
    ----------
    chain : Chain
        As it is now.
    new : tuple of Link
        The days that it added.
    """

    chain: Chain
    new: tuple[Link, ...]


def begin(
    path: Path, results: Path, *, now: Ns, start: Ns | None = None, stage: Stage = silent
) -> Chain:
    """Begin the forward record of a registered experiment.

    Parameters
    ----------
    path, results : Path
        The experiment's YAML, and the folder of all runs and registrations.
    now : int
        The time of writing, ns UTC.
    start : int, optional
        The midnight after which forecasts are recorded: by default the first one that is not before
        the newest event. An earlier one makes a rehearsal on a recorded log.
    stage : callable
        Progress.

    Raises
    ------
    ConfigError
        If it is not registered as it is, there is a record already, or its schedule or horizons
        have no midnights.
    LiqbtError
        If its events cannot be read.
    """
    experiment = load_experiment(path)
    _check_schedule(experiment, path)
    card = _registered(experiment, path, results)
    folder = forward_folder(results, experiment.name)
    if folder.exists() and any(folder.glob("*.jsonl")):
        raise ConfigError(
            f"{folder}: there is a forward record of {experiment.name}; it is only ever added to, "
            "and never begun again: give another test another name"
        )
    newest = max(_newest(tape) for tape in _tapes(experiment, path, results, None, stage).values())
    first = -(-newest // DAY_NS) * DAY_NS if start is None else start
    if first % DAY_NS:
        raise ConfigError(f"{path}: a record begins at a midnight (UTC); found {iso(first)}")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        entry = Start(
            experiment=experiment.name,
            registration=card.hash,
            start=iso(first),
            written=iso(now),
        )
        append(folder, [], entry)
    return read_forward(folder)


def step(
    path: Path,
    results: Path,
    *,
    now: Ns,
    until: Ns | None = None,
    despite: str = "",
    stage: Stage = silent,
) -> Stepped:
    """Issue, and write down, the forecasts of every day that is over and not in the record yet.

    A step that was killed is repeated: a day is in the record whole or not at all.

    Parameters
    ----------
    path, results, now, stage
        As in `begin`.
    until : int, optional
        The clock: nothing that became known at it or later is read. By default the newest event.
    despite : str
        Why days are issued although a feed was silent at their end; empty: they are not.

    Raises
    ------
    ConfigError
        If there is no record, or the experiment is not the registered one any more.
    DataError
        If a feed died, the record was edited, or the log's past is not what it was issued on.
    """
    experiment = load_experiment(path)
    folder = forward_folder(results, experiment.name)
    chain = read_forward(folder)
    with locked(folder / ".lock"):
        chain = _checked(chain, experiment, path, results)
        clock = None if until is None else max(until, chain.until_ns)
        tapes = _tapes(experiment, path, results, clock, stage)
        _check_past(chain, tapes)
        clock = clock or max(_newest(tape) for tape in tapes.values())
        first = chain.until_ns + DAY_NS
        ends = list(range(first, min(clock, experiment.last or clock) + 1, DAY_NS))
        walks = {
            (name, symbol): _days(experiment, (name, symbol), tape, chain, ends)
            for symbol, tape in tapes.items()
            for name in experiment.estimators
        }
        feeds = _feeds(experiment, tapes)
        for done, end in enumerate(ends):
            stage("forward", done + 1, len(ends))
            dead = _silent(feeds, end)
            if dead and not despite.strip():
                raise DataError(
                    f"{experiment.name}: {dead[0]}; nothing was issued for the day that ends at "
                    f"{iso(end)}: mend the feed, or issue it as it is with --despite 'reason'"
                )
            said = {"silent": dead, "reason": " ".join(despite.split())} if dead else {}
            days = {key: next(walk) for key, walk in walks.items()}
            chain = _write_day(chain, end, days, tapes, written=iso(now), despite=said)
    new = chain.links[len(chain.links) - len(ends) :]
    return Stepped(chain=chain, new=new)


def report(
    path: Path,
    results: Path,
    *,
    finish: Callable[[Run, Path], object] | None = None,
    stage: Stage = silent,
) -> Run:
    """Score what was recorded: an ordinary run, with the e-process in its section 15.

    Windows that have not ended, as far as the events go, are censored and score nothing.

    Parameters
    ----------
    path, results, stage
        As in `begin`.
    finish : callable, optional
        As in `liqbt.study.run.run_experiment`.

    Raises
    ------
    LiqbtError
        As `step`; or if nothing can be scored yet.
    """
    experiment = load_experiment(path)
    chain = _checked(
        read_forward(forward_folder(results, experiment.name)), experiment, path, results
    )
    if not chain.links:
        raise DataError(
            f"{chain.folder}: no day is recorded yet: liqbt forward step records the first one "
            f"once the log has events up to {iso(chain.until_ns + DAY_NS)}"
        )
    work = prepare_experiment(experiment, path, results, stage)
    _check_past(chain, work.tapes)
    work = replace(
        work,
        hashes={**work.hashes, "forward": chain.head},
        recorded=_recorded(experiment, chain, work.tapes),
        begins=chain.begins_ns + 1,
        told=lambda done: {"forward": _told(chain, done)},
    )
    return run_plan(work, results, finish, stage)


def value(chain: Chain, new: Sequence[Link] = ()) -> dict[str, Any]:
    """Return where a record stands, as plain values, with the days that a step added."""
    return {
        **asdict(chain.start),
        "path": str(chain.folder),
        "head": chain.head,
        "days": len(chain.links),
        "until": iso(chain.until_ns),
        "new": [asdict(link) for link in new],
    }


def describe(chain: Chain, new: Sequence[Link] = ()) -> str:
    """Return where a record stands, for people, with the days that a step added."""
    lines = [
        f"{chain.start.experiment}: forward record of registration {chain.start.registration} from "
        f"{chain.start.start}, {len(chain.links)} days, {len(new)} of them new: {chain.folder}"
    ]
    for link in new:
        issued = ", ".join(f"{said['n']} by {name}" for name, said in link.issued.items())
        lines.append(f"  day to {link.until}: {issued}")
        lines += [f"    although {one}" for one in link.despite.get("silent", ())]
    return "\n".join([*lines, f"  head {chain.head}"])


def describe_monitored(told: Mapping[str, Any]) -> str:
    """Return what a record shows so far, for people."""
    late = told["days"] - told["in_time"]
    said = [
        f"{told['days']} days recorded from {told['start']} to {told['until']}, {told['in_time']} "
        "of them written down before the window of their midnight was over"
        + (f": the other {late} are a rehearsal, and no evidence" if late else "")
    ]
    for row in told["rows"]:
        share = (
            f"{row['precision']:.1%} visited, {row['placebo']:.1%} expected, "
            if row["ended"]
            else ""
        )
        said.append(
            f"{row['estimator']}, {row['which']}: {row['ended']} of {row['issued']} windows of its "
            f"densest cluster have ended; {share}e-value {np.exp(row['log_e']):.3g}, "
            f"{np.exp(row['log_e_max']):.3g} at its highest"
        )
    return "\n".join(said)


def _check_schedule(experiment: Experiment, path: Path) -> None:
    if DAY_NS % experiment.schedule.every:
        raise ConfigError(
            f"{path}: schedule.every is {format_duration(experiment.schedule.every)}; a forward "
            "record needs forecasts at midnight: expected a divisor of 24h"
        )
    if PRIMARY_NS not in experiment.evaluation.horizons:
        raise ConfigError(
            f"{path}: evaluation.horizons lacks {horizon_name(PRIMARY_NS)}, the horizon that a "
            "forward record is scored at"
        )


def _registered(
    experiment: Experiment, path: Path, results: Path, hash_: str | None = None
) -> Registration:
    """Return the registration that the experiment is of in everything but how far its events go."""
    found = parts_of(
        {
            "config": run_identity(configuration_identity(experiment)),
            "code": code_digest(),
            "estimators": estimator_sources(experiment),
            "lock": lock_digest(),
            "tape": {},
        },
        claims_value(),
    )
    cards = [c for c in registered_cards(results, experiment.name) if hash_ in (None, c.hash)]
    if not cards:
        named = "it" if hash_ is None else f"registration {hash_}"
        raise ConfigError(f"{path}: {named} is not registered; liqbt register {path} does that")
    parted = [[part for part in deviations(c.fixed, found) if part != "tape"] for c in cards]
    best = min(range(len(cards)), key=lambda i: (len(parted[i]), -i))
    if parted[best]:
        raise ConfigError(
            f"{path}: differs from registration {cards[best].hash} of {cards[best].date} in "
            f"{', '.join(parted[best])}; what is recorded forward is what was registered"
        )
    return cards[best]


def _checked(chain: Chain, experiment: Experiment, path: Path, results: Path) -> Chain:
    """Return a chain whose files are as its lines say, and whose experiment is as registered."""
    _registered(experiment, path, results, chain.start.registration)
    for link in chain.links:
        for key, said in link.issued.items():
            file = chain.day_folder(link) / f"{key}.parquet"
            if not file.is_file() or sha256_file(file) != said["file"]:
                raise DataError(
                    f"{file}: is not as line {link.number + 1} of {chain.folder / 'chain.jsonl'} "
                    "says; what was issued is never edited: bring it back as it was"
                )
    return chain


def _tapes(
    experiment: Experiment, path: Path, results: Path, until: Ns | None, stage: Stage
) -> dict[str, Tape]:
    """Return the tape of every market up to the clock; none is kept, since each day has another."""
    make_importable(path.parent)
    origin = open_events(experiment, path, results / ".cache", stage)
    ends = [end for end in (experiment.last, until) if end is not None]
    return {
        symbol: build_tape(
            origin.log,
            Selection(
                kinds=dict(experiment.symbols[symbol].events),
                start_ns=experiment.schedule.start,
                end_ns=min(ends, default=None),
            ),
            outliers=experiment.data.outliers,
        )
        for symbol in sorted(experiment.symbols)
    }


def _newest(tape: Tape) -> Ns:
    return int(tape.events["ts_known"][-1])


def _past(tape: Tape, before: Mapping[str, Any] | None, end: Ns) -> dict[str, Any]:
    """Return how many events were known before `end`, and a digest that holds the one before."""
    begun = 0 if before is None else before["n"]
    n = tape.prefix_index(end)
    known = "" if before is None else before["digest"]
    names = [str(instrument) for instrument in tape.instruments]
    fresh = tape.events[begun:n].tobytes()
    return {"n": n, "digest": sha256(f"{known}|{names}|".encode() + fresh)}


def _check_past(chain: Chain, tapes: Tapes) -> None:
    """Refuse events that are not those which the record was issued on."""
    for symbol, tape in tapes.items():
        before = None
        for link in chain.links:
            now, said = _past(tape, before, link.until_ns), link.events.get(symbol)
            if now != said:
                raise DataError(
                    f"{chain.folder / 'chain.jsonl'}: the day that ends at {link.until} was issued "
                    f"on {(said or {}).get('n', 0):,} events of {symbol}, and the log now has "
                    f"{now['n']:,} that were known by then, or others: what becomes known later "
                    "is given its time, and the past stays as it was"
                )
            before = said


def _feeds(experiment: Experiment, tapes: Tapes) -> list[tuple[str, Kind, IntArray]]:
    """Return of every feed its name, its kind and when its events became known."""
    found = []
    for symbol, tape in tapes.items():
        for kind, instruments in experiment.symbols[symbol].events.items():
            rows = tape.events[tape.events["kind"] == kind]
            for instrument in instruments:
                mine = rows["instrument"] == tape.instruments.index(instrument)
                name = f"{kind.name.lower().replace('_', ' ')} {instrument} of {symbol}"
                found.append((name, kind, rows["ts_known"][mine].astype(np.int64)))
    return found


def _silent(feeds: list[tuple[str, Kind, IntArray]], end: Ns) -> list[str]:
    """Return the feeds that have died by `end`, each in a sentence without its full stop.

    One has where it was silent for longer than an hour (of liquidations, a day) and twice its
    longest silence in the week that ends with its last event. One that never spoke has not begun.
    """
    found = []
    for name, kind, known in feeds:
        known = known[: int(np.searchsorted(known, end))]
        if not len(known):
            continue
        last = int(known[-1])
        week = known[int(np.searchsorted(known, last - _WEEK_NS)) :]
        longest = int(np.diff(week).max(initial=0))
        if end - last > max(2 * longest, DAY_NS if kind in _FORCED else HOUR_NS):
            found.append(
                f"{name} has been silent since {iso(last)}, {(end - last) / HOUR_NS:.1f} hours by "
                f"{iso(end)}, and was for {longest / HOUR_NS:.1f} at most in the week before"
            )
    return found


def _days(
    experiment: Experiment, key: tuple[str, str], tape: Tape, chain: Chain, ends: list[Ns]
) -> Iterator[tuple[list[Forecast], Checkpoint]]:
    """Yield what an estimator issues in each day to come, and where it stands at its end."""
    if not ends:
        return
    name, symbol = key
    estimator = build_estimator(experiment, symbol, name)
    times = _times(experiment, tape, ends[-1])
    start = _resumed(chain, key, tape)
    steps = replay_from(start, tape, estimator, times)
    begun, done, position = chain.until_ns, start.issued, start.position
    for end in ends:
        count = int(np.searchsorted(times, end, side="right"))
        today = list(islice(steps, max(0, count - done)))
        issued = [f for _, f in today if f is not None and f.at > begun]
        require_arrays(issued, estimator)
        position = today[-1][0] if today else position
        begun, done = end, max(done, count)
        yield (
            issued,
            Checkpoint(tape=tape.digest, position=position, issued=done, state=estimator.state()),
        )


def _times(experiment: Experiment, tape: Tape, until: Ns) -> IntArray:
    """Return the scheduled times up to a clock, and of it: whether or not an event came just then.

    A replay of a record ends with its last event; here the clock says that there were no more.
    """
    plan, last = experiment.schedule, experiment.last
    start = max(int(tape.events["ts_known"][0]) + 1, plan.start or 0)
    return schedule(start, until + 1 if last is None else min(until + 1, last), plan.every)


def _resumed(chain: Chain, key: tuple[str, str], tape: Tape) -> Checkpoint:
    """Return where an estimator stood at the end of the last day; at the very start if not kept."""
    fresh = Checkpoint(tape=tape.digest, position=0, issued=0, state={})
    if not chain.links:
        return fresh
    link, name = chain.links[-1], "/".join(key)
    file = chain.day_folder(link) / f"{name}.npz"
    if not file.is_file() or sha256_file(file) != link.issued[name]["state"]:
        return fresh
    return replace(load_checkpoint(file), tape=tape.digest)


def _write_day(
    chain: Chain,
    end: Ns,
    days: Mapping[tuple[str, str], tuple[list[Forecast], Checkpoint]],
    tapes: Tapes,
    *,
    written: str,
    despite: Mapping[str, Any],
) -> Chain:
    """Write a day's files, then its line, which makes them count."""
    before = chain.links[-1].events if chain.links else {}
    link = Link(
        number=len(chain.links) + 1,
        until=iso(end),
        written=written,
        events={s: _past(tape, before.get(s), end) for s, tape in tapes.items()},
        issued={},
        despite=despite,
    )
    issued = {}
    for (name, symbol), (forecasts, stands) in days.items():
        place = chain.day_folder(link) / name
        place.mkdir(parents=True, exist_ok=True)
        file, state = place / f"{symbol}.parquet", place / f"{symbol}.npz"
        temporary = file.with_suffix(".tmp")
        pq.write_table(forecast_table(forecasts), temporary, compression="zstd")
        write_whole(file, temporary.read_bytes())
        temporary.unlink()
        save_checkpoint(replace(stands, tape=link.events[symbol]["digest"]), state)
        issued[f"{name}/{symbol}"] = {
            "n": len(forecasts),
            "digest": _digest(forecasts),
            "file": sha256_file(file),
            "state": sha256_file(state),
        }
    append(chain.folder, chain.lines, replace(link, issued=issued))
    _forget(chain)
    return read_forward(chain.folder)


def _forget(chain: Chain) -> None:
    """Remove the states of the day before: the newest are enough to go on."""
    if chain.links:
        for state in chain.day_folder(chain.links[-1]).rglob("*.npz"):
            state.unlink()


def _digest(forecasts: list[Forecast]) -> str:
    digest = hashlib.sha256()
    for forecast in forecasts:
        digest.update(sha256(forecast_bytes(forecast)).encode())
    return digest.hexdigest()


def _recorded(
    experiment: Experiment, chain: Chain, tapes: Tapes
) -> dict[str, dict[str, list[Forecast]]]:
    """Return what is learnt from, replayed, and behind it what was recorded; all of it checked."""
    found: dict[str, dict[str, list[Forecast]]] = {name: {} for name in experiment.estimators}
    for symbol, tape in tapes.items():
        early = _times(experiment, tape, chain.begins_ns)
        history = replay_many(tape, build_estimators(experiment, symbol), early)
        for name, issued in history.items():
            found[name][symbol] = [*issued]
            for link in chain.links:
                file = chain.day_folder(link) / name / f"{symbol}.parquet"
                day = forecasts_of(read_parquet(file))
                if _digest(day) != link.issued[f"{name}/{symbol}"]["digest"]:
                    raise DataError(f"{file}: its forecasts are not those that were issued")
                found[name][symbol].extend(day)
    return found


def _told(chain: Chain, done: Study) -> dict[str, Any]:
    """Return what a manifest says of a record: where it stands, and what its windows show."""
    timely = {n.until_ns for n in chain.links if n.written_ns < window_end(n.until_ns)}
    rows = []
    for name, evaluation in done.evaluations.items():
        table = bets(evaluation.evidence)
        live = table[np.isin(table["at"], sorted(timely))]
        for which, mine in (("written in time", live), ("all", table)):
            row = {"estimator": name, "which": which, **asdict(monitored(mine))}
            rows.append(json_value(row))
    return {
        "head": chain.head,
        "registration": chain.start.registration,
        "start": chain.start.start,
        "until": chain.links[-1].until,
        "days": len(chain.links),
        "in_time": len(timely),
        "despite": [{"until": n.until, **n.despite} for n in chain.links if n.despite],
        "rows": rows,
    }
