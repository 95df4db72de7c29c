"""What one scoring works with: everything that comes in, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.config.fields import format_duration, moment_ns
from liqbt.config.schema import EvaluationOptions
from liqbt.errors import ConfigError, DataError
from liqbt.estimators.config import MapParams
from liqbt.log.store import EventLog
from liqbt.registry.ledger import run_identity
from liqbt.registry.registrations import sealing_registrations
from liqbt.study.estimator_config import written
from liqbt.study.identity import APART, TAPES, code_digest, lock_digest
from liqbt.study.pipeline import protocol
from liqbt.study.published.level_file import PublishedRows, read_published
from liqbt.study.published.levels import MarketLevels, Overlaps, awaited, market_levels
from liqbt.study.published.markets import ScoredMarket, map_params, scored_market
from liqbt.study.summary import iso
from liqbt.study.validity import clearance, scope
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection, Tape
from liqbt.types import DAY_NS, Instrument, Kind, Ns

FARTHEST: Final = 1000.0
"""A level farther from every price than so many times is an error of unit, not a forecast."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScorePlan:
    """What one scoring works with; sequences are by market, in the order of `rows.symbols`.

    Attributes
    ----------
    rows : PublishedRows
        The file.
    markets, levels, tapes, maps : sequence
        Which events decide, what was published, the events, and the grid and σ.
    log : EventLog
        Where the events are.
    named : mapping of str to Instrument
        Instruments that the caller chose.
    options : EvaluationOptions
        The protocol.
    config : mapping
        The configuration with every default filled in, as `config.yaml` holds it.
    hashes : mapping
        What the run is identified by.
    withheld : mapping of str to str
        Why, for each claim whose test has not passed the validity gate.
    gate : mapping
        What is shown of the gate's document; empty where there is none.
    seal : mapping or None
        The registered holdout that nothing is read of: `start`, `end`, `registration`.
    """

    rows: PublishedRows
    markets: Sequence[ScoredMarket]
    levels: Sequence[MarketLevels]
    tapes: Sequence[Tape]
    maps: Sequence[MapParams]
    log: EventLog
    named: Mapping[str, Instrument]
    options: EvaluationOptions
    config: Mapping[str, Any]
    hashes: Mapping[str, Any]
    withheld: Mapping[str, str]
    gate: Mapping[str, Any]
    seal: Mapping[str, str] | None


def prepare(
    file: Path,
    log_dir: Path,
    results: Path,
    options: EvaluationOptions,
    named: Mapping[str, Instrument],
    seed: int,
    overlaps: Overlaps = "merge",
) -> ScorePlan:
    """Read and check everything that comes in.

    Parameters
    ----------
    file, log_dir : Path
        The published levels, and the event log.
    results : Path
        Folder of all runs, of tapes that can be made again, and of the validity gate's document.
    options, named, seed, overlaps
        As in `score_forecasts`.

    Raises
    ------
    LiqbtError
        If the file, the log or the protocol cannot be used.
    """
    rows = read_published(file)
    _check_asked(file, rows, options, named)
    log = EventLog.open(log_dir)
    markets = [scored_market(log, symbol, named, str(file)) for symbol in rows.symbols]
    folder = results / ".cache" / "tapes" / code_digest(TAPES, APART)[:16]
    seal, start_ns, end_ns = _unsealed(results, markets, int(rows.at.min()))
    tapes = [
        build_tape(log, Selection(kinds=dict(m.events), start_ns=start_ns, end_ns=end_ns), folder)
        for m in markets
    ]
    for i, (market, tape) in enumerate(zip(markets, tapes, strict=True)):
        _check_range(file, rows, i, tape, seal)
        _check_prices(file, rows, i, tape, market.price_kind)
    maps = [map_params(m, tape) for m, tape in zip(markets, tapes, strict=True)]
    config = _config(file, rows, markets, maps) | {
        "evaluation": options.model_dump(mode="json"),
        "seed": seed,
    }
    days = (min(int(t.events["ts_known"][-1]) for t in tapes) - int(rows.at.min())) / DAY_NS
    cleared = clearance(results, scope([{"name": "published levels"}], options, None, days))
    return ScorePlan(
        rows=rows,
        markets=markets,
        levels=[
            awaited(
                market_levels(rows, i, maps[i].step, overlaps=overlaps),
                tapes[i],
                m.price_kind,
                str(file),
            )
            for i, m in enumerate(markets)
        ],
        tapes=tapes,
        maps=maps,
        log=log,
        named=named,
        options=options,
        config=config,
        hashes={
            "config": run_identity(config),
            "forecasts file": rows.sha256,
            "tape": {m.symbol: tape.digest for m, tape in zip(markets, tapes, strict=True)},
            "code": code_digest(),
            "lock": lock_digest(),
            "gate": cleared.digest,
            **({} if seal is None else {"seal": run_identity(seal)}),
        },
        withheld=cleared.withheld,
        gate=cleared.shown,
        seal=seal,
    )


def _unsealed(
    results: Path, markets: Sequence[ScoredMarket], first: Ns
) -> tuple[dict[str, str] | None, Ns | None, Ns | None]:
    """Return a registered holdout of the instruments, and the open period around the first row.

    Returns
    -------
    seal : dict or None
        `start`, `end` and `registration` of the holdout next to the period; None without any.
    start_ns, end_ns : int or None
        Between the last holdout that is over when the rows begin, and the next one.
    """
    used = {str(i) for market in markets for group in market.events.values() for i in group}
    seals = [
        {**card.holdout, "registration": card.hash}
        for card in sealing_registrations(results, used)
        if card.holdout is not None
    ]
    over = [seal for seal in seals if moment_ns(seal["end"]) <= first]
    ahead = [seal for seal in seals if moment_ns(seal["end"]) > first]
    start_ns = max((moment_ns(seal["end"]) for seal in over), default=None)
    end_ns = min((moment_ns(seal["start"]) for seal in ahead), default=None)
    return next(iter([*ahead, *over]), None), start_ns, end_ns


def _check_asked(
    file: Path, rows: PublishedRows, options: EvaluationOptions, named: Mapping[str, Instrument]
) -> None:
    """Refuse probabilities of a horizon that is not scored, and a symbol that the file lacks."""
    horizons = protocol(options).horizons_ns
    foreign = [h for h in rows.stated if h not in horizons]
    if foreign:
        raise ConfigError(
            f"{file}: probabilities are stated for {format_duration(foreign[0])}, a horizon that "
            f"is not scored; scored are {', '.join(map(format_duration, horizons))}"
        )
    unused = sorted(set(named) - set(rows.symbols))
    if unused:
        raise ConfigError(f"{file}: has no symbol '{unused[0]}'; it has {', '.join(rows.symbols)}")


def _check_range(
    file: Path, rows: PublishedRows, symbol: int, tape: Tape, seal: Mapping[str, str] | None
) -> None:
    """Refuse rows from before the first event or after the last."""
    first, last = (int(tape.events["ts_known"][i]) for i in (0, -1))
    bad = (rows.symbol == symbol) & ((rows.at <= first) | (rows.at > last))
    if bad.any():
        i = int(np.argmax(bad))
        sealed = "" if seal is None else f" (registration {seal['registration']} seals a period)"
        raise DataError(
            f"{file}: row {rows.number[i]} has at {iso(int(rows.at[i]))}, outside of what the log "
            f"knows of '{rows.symbols[symbol]}', {iso(first)} to {iso(last)}"
            f"{sealed} "
            f"({int(bad.sum())} such rows); extend the log, or leave them out"
        )


def _check_prices(file: Path, rows: PublishedRows, symbol: int, tape: Tape, kind: Kind) -> None:
    """Refuse levels that no price of the log is within a factor of `FARTHEST` of."""
    known = tape.of(kind)["p3"]
    least, most = float(np.nanmin(known)), float(np.nanmax(known))
    far = (rows.low < least / FARTHEST) | (rows.high > most * FARTHEST)
    bad = (rows.symbol == symbol) & far
    if bad.any():
        i = int(np.argmax(bad))
        raise DataError(
            f"{file}: row {rows.number[i]} has a level from {rows.low[i]:g} to {rows.high[i]:g}; "
            f"expected within a factor of {FARTHEST:g} of the prices of "
            f"'{rows.symbols[symbol]}', {least:g} to {most:g} ({int(bad.sum())} such rows)"
        )


def _config(
    file: Path,
    rows: PublishedRows,
    markets: Sequence[ScoredMarket],
    maps: Sequence[MapParams],
) -> dict[str, Any]:
    """Return what `config.yaml` says of the file and its markets."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.name.split(".")[0]).strip("-._")[:56]
    return {
        "name": f"score-{name or 'file'}",
        "forecasts": {"file": file.name, "sha256": rows.sha256},
        "symbols": {
            market.symbol: {
                "events": {k.name.lower(): [str(i) for i in v] for k, v in market.events.items()},
                "estimators": {"published": {"use": "published", "params": written(each)}},
            }
            for market, each in zip(markets, maps, strict=True)
        },
    }
