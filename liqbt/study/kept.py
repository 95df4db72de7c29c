"""One market of a run as a task: replayed, observed, written to files of its own, and summed.

Its forecasts and outcomes lie in a folder beside the run that is being made. There the task also
leaves what it gives back, prices and tables mapped and not held, so that a run that was killed goes
on with the markets that it lacks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from liqbt.config.fields import format_duration
from liqbt.config.schema import EvaluationOptions
from liqbt.errors import LiqbtError, StoppedError
from liqbt.evaluation.cascades import cascade_source
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.evaluation.config import PRIMARY_NS, MarketInput
from liqbt.evaluation.evaluate import scored
from liqbt.evaluation.evidence import Evidence
from liqbt.evaluation.monitoring import market_bets
from liqbt.evaluation.parts import LetGo, current, only_begun, summed, together
from liqbt.evaluation.statistic import Statistic
from liqbt.forecasts import forecasts_digest
from liqbt.log.disk import locked, sha256, sha256_file
from liqbt.study.events import Origin
from liqbt.study.ground_truth import GroundTruth, ground_truth
from liqbt.study.mapped import give_back, mapped, read_mapped, write_mapped
from liqbt.study.pipeline import MarketStudies, MarketStudy, Twin, outcome_path
from liqbt.study.schema import Experiment
from liqbt.study.store import write_streamed
from liqbt.study.summary import describe_market
from liqbt.study.tables import clusters_table, issued_tables, of_estimator
from liqbt.study.twin import MarketTwin, market_twins
from liqbt.tape.values import Tape
from liqbt.types import Kind
from liqbt.watch import Sighting, watched

_BARS = "bars"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptMarket(MarketStudy):
    """What a run keeps of one market; its forecasts are let go.

    Attributes
    ----------
    files : mapping of str to sequence of Path
        By file of the run: where its rows of this market are, estimator by estimator.
    current : mapping of str to Path
        By estimator: its clusters as levels, rows of VISIT_DTYPE (`Evidence.current_of`).
    digests : mapping of str to str
        By estimator: the digest of what was issued.
    variants : mapping of str to Evidence
        Of the first estimator, under other choices (`sensitivity_variants`).
    beside : mapping of str to MarketTwin
        By estimator: its price-only twin.
    truth : GroundTruth or None
        Of a simulated market.
    about : mapping
        What the manifest says of its events.
    reached : tuple of Sighting
        What estimators reached for.
    part : Path or None
        The file in which its arrays lie: what is sent to another process is where that is.
    """

    files: Mapping[str, Sequence[Path]]
    current: Mapping[str, Path]
    digests: Mapping[str, str]
    variants: Mapping[str, Evidence]
    beside: Mapping[str, MarketTwin]
    truth: GroundTruth | None
    about: Mapping[str, Any]
    reached: tuple[Sighting, ...]
    part: Path | None = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Return how it is pickled: whole, or as the name of the file that it lies in."""
        return object.__reduce_ex__(self, protocol) if self.part is None else (Path, (self.part,))


@dataclass(frozen=True, kw_only=True)
class KeptMarkets(MarketStudies):
    """The markets of a run: `MarketStudies` that keep little, and are not done twice.

    Attributes
    ----------
    origin : Origin
        Where the events came from.
    folder : Path
        For the files; it is there.
    """

    origin: Origin
    folder: Path

    def __call__(self, symbol: str) -> KeptMarket:
        """Return what is kept of a market, done now or before.

        Raises
        ------
        AlreadyRunningError
            If another process is at it.
        LiqbtError
            It cannot be done; of several markets the message names it.
        """
        named = sha256(repr((symbol, sorted(self.failed))).encode())[:16]
        path = self.folder / f"{named}.part"
        # a worker of a cluster may be at it still, for a command that was killed
        with locked(path.with_suffix(".lock")):
            found = _read(path)
            if found is None:
                try:
                    found = self._made(symbol, named)
                except LiqbtError as error:
                    if len(self.tapes) > 1 and symbol not in str(error):
                        raise type(error)(f"market {symbol}: {error}") from error
                    raise
                own = [file for files in found.files.values() for file in files]
                digests = {file: sha256_file(file) for file in (*own, *found.current.values())}
                write_mapped(path, (found, digests))
                found = _sent(path)
        return found

    def taken(self, market: Any) -> KeptMarket:
        """Return what is kept of a market, which another process sends as the name of its file."""
        return _sent(market) if isinstance(market, Path) else market

    def _made(self, symbol: str, named: str) -> KeptMarket:
        experiment, tape = self.experiment, self.tapes[symbol]
        about = describe_market(experiment.symbols[symbol], tape, self.origin.log)
        with watched() as watch:
            market = mapped(self.folder, super().__call__(symbol))
        give_back()
        number, files = list(self.tapes).index(symbol), dict[str, list[Path]]()
        levels, truth = dict[str, Path](), None
        for n, (name, evidence) in enumerate(market.evidence.items()):
            issued = market.forecasts[name]
            tables = {
                "clusters.parquet": map(clusters_table, [issued]),  # large, and gone first
                **issued_tables(evidence, issued, number),
            }
            for file, parts in tables.items():
                path = self.folder / f"{named}-{n}-{file}"
                write_streamed(path, (of_estimator(part, name) for part in parts))
                files.setdefault(file, []).append(path)
            if self.recorded is not None:
                market_bets(evidence, 0)  # what is told of a record needs its forecasts
            truth = truth or self._truth(evidence)
            only_begun(evidence)
            levels[name] = self.folder / f"{named}-{n}-levels"
            with levels[name].open("wb") as rows:
                for part in current(evidence):
                    part.tofile(rows)
            give_back()
        first = next(iter(market.evidence.values()))
        variants = sensitivity_variants(
            first, barred(experiment, tape, first), experiment.evaluation
        )
        return KeptMarket(
            symbol=symbol,
            forecasts={name: LetGo(len(each)) for name, each in market.forecasts.items()},
            digests={name: forecasts_digest(each) for name, each in market.forecasts.items()},
            twins={
                name: Twin(
                    forecasts={s: LetGo(len(each)) for s, each in twin.forecasts.items()},
                    reason=twin.reason,
                )
                for name, twin in market.twins.items()
            },
            files=files,
            current=levels,
            beside=market_twins(experiment, tape, market, since=self.since),
            truth=truth,
            variants={name: summed(variants.pop(name), CONDITIONAL) for name in [*variants]},
            evidence={name: summed(one, self.statistics) for name, one in market.evidence.items()},
            about=about | {"cascades_from": cascade_source(experiment.symbols[symbol].events)},
            reached=tuple(sorted(watch.seen)),
        )

    def _truth(self, evidence: Evidence) -> GroundTruth | None:
        """Return the truth beside a simulated market's figures."""
        world, planted = self.origin.world, self.origin.planted
        if world is None or planted is None or self.experiment.holdout is not None:
            return None  # the truth is that of the sealed period too
        outcomes = evidence.observed.outcomes
        return ground_truth(self.experiment, world, planted, evidence.markets, outcomes)


def _read(path: Path) -> KeptMarket | None:
    """Return what a task left; None where it did not, or not whole."""
    found, digests = read_mapped(path) or (None, {})
    whole = (file.is_file() and sha256_file(file) == own for file, own in digests.items())
    return replace(found, part=path) if found is not None and all(whole) else None


def _sent(path: Path) -> KeptMarket:
    """Return what a task has just left, wherever it ran."""
    found, _ = read_mapped(path) or (None, {})
    if found is None:
        raise StoppedError(
            f"{path} was written and cannot be read: this process and all that work for it need "
            "one folder of results"
        )
    kept: KeptMarket = replace(found, part=path)
    return kept


CONDITIONAL: Sequence[Statistic] = tuple(
    replace(one, sides=("both",)) for one in STATISTICS if one.conditional
)
"""What the sensitivities repeat."""


def barred(experiment: Experiment, tape: Tape, evidence: Evidence) -> list[MarketInput]:
    """Return a market with the highs and lows of bars as its path, where it has bars beside."""
    (market,) = evidence.markets
    chosen = experiment.symbols[market.symbol]
    if chosen.price_kind == Kind.BAR or not len(tape.of(Kind.BAR)):
        return []
    return [replace(market, path=outcome_path(experiment, market.symbol, tape, Kind.BAR))]


def sensitivity_variants(
    evidence: Evidence, barred: Sequence[MarketInput], options: EvaluationOptions
) -> dict[str, Evidence]:
    """Return evidence of the primary horizon under other choices, without maps beside the dose.

    Parameters
    ----------
    evidence : Evidence
        As it is scored.
    barred : sequence of MarketInput
        Those that have bars too, with their highs and lows as the path.
    options : EvaluationOptions
        The protocol: which latencies are tried.
    """
    primary = replace(evidence.config, horizons_ns=(PRIMARY_NS,))
    chosen = {
        f"watched from {format_duration(latency)} after issue": (
            replace(primary, latency_ns=latency),
            evidence.markets,
        )
        for latency in options.latencies
        if latency != options.latency
    }
    if barred:
        chosen[_BARS] = (primary, barred)
    return {
        name: Evidence(
            markets=[replace(market, competing_maps={}) for market in markets],
            config=config,
            training=evidence.training,
            root=evidence.root,
        )
        for name, (config, markets) in chosen.items()
    }


def sensitivity_rows(
    variants: Mapping[str, Evidence], bars: Collection[str]
) -> list[dict[str, Any]]:
    """Return the scores of the primary horizon under other choices.

    Parameters
    ----------
    variants : mapping of str to Evidence
        As `sensitivity_variants` names them.
    bars : collection of str
        The bars' instruments.

    Returns
    -------
    list of dict
        `name` and the fields of `Score`, both sides together.
    """
    words = {_BARS: f"highs and lows of {', '.join(sorted(bars))} bars"}
    return [
        {"name": words.get(name, name), **asdict(one.score)}
        for name, evidence in variants.items()
        for one in scored(evidence, CONDITIONAL)
    ]


def joined_variants(markets: Sequence[KeptMarket]) -> dict[str, Evidence]:
    """Return the variants of all markets together; of bars, those that have some."""
    names = dict.fromkeys(name for market in markets for name in market.variants)
    return {
        name: together([m.variants[name] for m in markets if name in m.variants]) for name in names
    }
