"""What the command line does besides runs, as calls: what it would print, and as values.

Paths may be text. A wrong argument is refused in the sentence of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from html import escape
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any, Literal

from liqbt.api import Result, instant, opened_run
from liqbt.config.fields import duration_ns
from liqbt.errors import ConfigError
from liqbt.study.executors import Executor, serially
from liqbt.study.progress import Stage, silent
from liqbt.study.store import Run, json_value

if TYPE_CHECKING:
    import pandas as pd

Place = Path | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command says.

    Attributes
    ----------
    value : dict or list
        As `--json` prints it.
    text : str
        For people; a notebook shows it.
    page : Path or None
        The page that was written, if one was.
    """

    value: Any
    text: str
    page: Path | None = None

    def frame(self, key: str | None = None) -> pd.DataFrame:
        """Return rows of the value as a table.

        Parameters
        ----------
        key : str, optional
            Which list of the value; by default the value itself, or its only list of rows.

        Raises
        ------
        ConfigError
            If it has no such rows; names those it has.
        """
        import pandas as pd

        if isinstance(self.value, list) and key is None:
            return pd.DataFrame(self.value)
        held = self.value if isinstance(self.value, dict) else {}
        lists = [k for k, v in held.items() if isinstance(v, list) and v and isinstance(v[0], dict)]
        name = lists[0] if key is None and len(lists) == 1 else key
        if name not in lists:
            raise ConfigError(f"no rows {name!r}; expected one of {', '.join(lists) or 'none'}")
        return pd.DataFrame(held[name])

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        page = "" if self.page is None else f"<p>page: {escape(str(self.page))}</p>"
        return f"<pre>{escape(self.text)}</pre>{page}"


def score(
    forecasts: Place,
    log: Place,
    results: Place = "results",
    *,
    markets: Mapping[str, str] | None = None,
    horizons: Sequence[str] | None = None,
    latency: str | None = None,
    overlaps: Literal["merge", "refuse"] = "merge",
    seed: int = 0,
    stage: Stage = silent,
) -> Result:
    """Score a file of published levels by the protocol of a run.

    Parameters
    ----------
    forecasts, log, results : Path or str
        CSV or Parquet, the event log, and the folder of runs.
    markets : mapping of str to str, optional
        `VENUE/NAME` of a symbol, where the log calls it otherwise.
    horizons : sequence of str, optional
        Such as `["4h", "24h"]`.
    latency : str, optional
        From issue to the first moment that is watched.
    overlaps : str
        Rows of one side and time that overlap are made one band (`merge`), or refused (`refuse`).
    seed : int
        Of the bootstrap.

    Raises
    ------
    LiqbtError
        If the file, the log or the protocol cannot be used.
    """
    from liqbt.report.pages.run import write_report
    from liqbt.study.published.markets import instrument_names, score_options
    from liqbt.study.published.score import score_forecasts

    said = None if horizons is None else ",".join(horizons)
    named = tuple(f"{symbol}={name}" for symbol, name in (markets or {}).items())
    run = score_forecasts(
        Path(forecasts),
        Path(log),
        Path(results),
        options=score_options(horizons=said, latency=latency),
        named=instrument_names(named),
        seed=seed,
        overlaps=overlaps,
        finish=write_report,
        stage=stage,
    )
    return Result(run)


def search(
    file: Place,
    results: Place = "results",
    *,
    executor: Executor = serially,
    stage: Stage = silent,
) -> Answer:
    """Run an experiment under many configurations, and say what the best of so many is worth.

    Parameters
    ----------
    file, results : Path or str
        The search's YAML, and the folder of runs. `frame("trials")` of the answer is the ledger.
    executor : Executor
        Where its trials run.
    stage : Stage
        Told what is done, of how much.
    """
    from liqbt.report.pages.search import write_search_page
    from liqbt.search.search import run_search
    from liqbt.search.summary import describe_search

    document, folder = run_search(Path(file), Path(results), executor=executor, stage=stage)
    page = write_search_page(document, folder)
    return Answer(value=document, text=describe_search(document), page=page)


def compare(a: Result | Run | Place, b: Result | Run | Place) -> Answer:
    """Put two runs side by side: what they were made of, where they part, how scores differ."""
    from liqbt.gate.compare import compare as side_by_side
    from liqbt.gate.formatting import comparison_text, comparison_value
    from liqbt.gate.identity import open_run

    found = side_by_side(open_run(opened_run(a).path), open_run(opened_run(b).path))
    return Answer(value=comparison_value(found), text=comparison_text(found))


def register(
    experiment: Place,
    results: Place = "results",
    *,
    on: date | None = None,
    stage: Stage = silent,
) -> Answer:
    """Register an experiment: configuration, code, lock file, claims and open events, dated.

    Parameters
    ----------
    experiment, results : Path or str
        The YAML, and the folder below which the registration is kept.
    on : date, optional
        Today (UTC) by default.
    stage : Stage
        Told what is done, of how much.
    """
    from liqbt.study.unseal import describe_registration, register_experiment

    day = on or datetime.now(UTC).date()
    card, file, new = register_experiment(Path(experiment), Path(results), on=day, stage=stage)
    value = {**asdict(card), "path": str(file), "new": new}
    return Answer(value=value, text=describe_registration(card, file, new))


def unseal(
    experiment: Place, reason: str, results: Place = "results", *, on: date | None = None
) -> Result:
    """Open the holdout of what was registered, count that, and run it over the holdout.

    Raises
    ------
    ConfigError
        Without a reason, a holdout or a registration of exactly this, and where `CI` is set.
    """
    from liqbt.report.pages.run import write_report
    from liqbt.study.unseal import unseal_experiment

    day = on or datetime.now(UTC).date()
    path, kept = Path(experiment), Path(results)
    run, _ = unseal_experiment(path, kept, reason=reason, on=day, finish=write_report, stage=silent)
    return Result(run)


def forward_init(
    experiment: Place,
    results: Place = "results",
    *,
    start: Any | None = None,
    stage: Stage = silent,
) -> Answer:
    """Begin the forward record of an experiment, which must be registered as it is.

    Parameters
    ----------
    experiment, results : Path or str
        The YAML, and the folder below which registrations and records are kept.
    start : optional
        The midnight (UTC) after which forecasts are recorded: by default the next one after the
        newest event; an earlier one makes a rehearsal on a recorded log.

    Raises
    ------
    LiqbtError
        If it is not registered, or there is a record already.
    """
    from liqbt.study.forward import begin, describe, value

    first = None if start is None else instant(start, "start")
    chain = begin(Path(experiment), Path(results), now=time_ns(), start=first, stage=stage)
    return Answer(value=value(chain), text=describe(chain))


def forward_step(
    experiment: Place,
    results: Place = "results",
    *,
    until: Any | None = None,
    despite: str = "",
    stage: Stage = silent,
) -> Answer:
    """Write down the forecasts of every day that is over and not in the record yet.

    Parameters
    ----------
    experiment, results : Path or str
        As in `forward_init`.
    until : optional
        The clock: a timestamp with a zone, or text (UTC); by default the newest event.
    despite : str
        Why days are issued although a feed was silent at their end; the record keeps it.

    Raises
    ------
    LiqbtError
        If a feed died, the record was edited, or the log's past is another.
    """
    from liqbt.study.forward import describe, step, value

    clock = None if until is None else instant(until, "until")
    done = step(
        Path(experiment), Path(results), now=time_ns(), until=clock, despite=despite, stage=stage
    )
    return Answer(value=value(done.chain, done.new), text=describe(done.chain, done.new))


def forward_report(
    experiment: Place, results: Place = "results", *, stage: Stage = silent
) -> Result:
    """Score what was recorded, as far as its windows have ended, and write the report.

    Parameters
    ----------
    experiment, results : Path or str
        As in `forward_init`. `result.run.manifest["forward"]` holds precision and e-process.

    Raises
    ------
    LiqbtError
        As `forward_step`, or if nothing can be scored yet.
    """
    from liqbt.report.pages.run import write_report
    from liqbt.study.forward import report as scored

    return Result(scored(Path(experiment), Path(results), finish=write_report, stage=stage))


def quality(log: Place, out: Place | None = None, *, stage: Stage = silent) -> Answer:
    """Measure the feeds of an event log: gaps, doubles, latency, odd values, coverage.

    Parameters
    ----------
    log : Path or str
        The event log.
    out : Path or str, optional
        Folder for the page; none by default.
    stage : Stage
        Told what is done, of how much.
    """
    from liqbt.quality.measure import log_quality, plain
    from liqbt.quality.summary import describe_quality
    from liqbt.report.pages.quality import write_quality_page

    found = log_quality(Path(log), stage=stage)
    value = plain(found)
    page = None if out is None else write_quality_page(value, Path(out))
    return Answer(value=value, text=describe_quality(found), page=page)


def leaks(log: Place) -> Answer:
    """Hold each feed of an event log against a finer price: those that saw what came after."""
    from liqbt.quality.measure import log_leaks, plain_rows

    found = log_leaks(Path(log))
    text = "\n".join(one.text() for one in found) or f"{log} has no feed that could be tried"
    return Answer(value={"feeds": plain_rows(found)}, text=text)


def plane(
    experiment: Place,
    results: Place = "results",
    *,
    horizons: Sequence[str] | None = None,
    out: Place | None = None,
    stage: Stage = silent,
) -> Answer:
    """Show where 85 % lies: horizon by distance, with no information and with the map.

    Parameters
    ----------
    experiment, results : Path or str
        The YAML, and the folder of runs.
    horizons : sequence of str, optional
        Such as `["4h", "24h"]`; by default all that the data supports.
    out : Path or str, optional
        Folder for the page; `plane` in the run's by default.
    stage : Stage
        Told what is done, of how much.

    Raises
    ------
    ConfigError
        If a horizon is no duration, or what a run refuses.

    Examples
    --------
    >>> plane("mine.yaml", horizons=["a day"])
    Traceback (most recent call last):
    liqbt.errors.ConfigError: horizons: 'a day' is no duration; expected such as 4h or 7d
    """
    from liqbt.evaluation.accuracy.summary import describe_plane, plane_value
    from liqbt.report.pages.plane import write_plane_page
    from liqbt.report.pages.run import write_report
    from liqbt.study.accuracy import experiment_plane

    asked = None if horizons is None else tuple(sorted({_duration(word) for word in horizons}))
    run, found = experiment_plane(
        Path(experiment), Path(results), horizons_ns=asked, finish=write_report, stage=stage
    )
    value = {"experiment": run.manifest["experiment"], "run_id": run.run_id, **plane_value(found)}
    page = write_plane_page(value, run.path / "plane" if out is None else Path(out))
    return Answer(value={**value, "page": str(page)}, text=describe_plane(found), page=page)


def _duration(word: str) -> int:
    try:
        return duration_ns(word)
    except ValueError:
        raise ConfigError(f"horizons: {word!r} is no duration; expected such as 4h or 7d") from None


def randomise(
    experiment: Place,
    results: Place = "results",
    *,
    histories: int = 200,
    statistics: Sequence[str] = (),
    executor: Executor = serially,
    stage: Stage = silent,
) -> Answer:
    """Hold an experiment against placebo histories: real prices, positions from another time.

    Parameters
    ----------
    experiment, results : Path or str
        The YAML, and the folder of runs.
    histories : int
        How many are replayed.
    statistics : sequence of str
        What is held against them; by default what decides a claim.
    executor : Executor
        Where they are replayed.
    stage : Stage
        Told what is done, of how much.
    """
    from liqbt.study.randomise import describe_randomised
    from liqbt.study.randomise import randomise as run

    rows = run(
        Path(experiment),
        Path(results),
        histories=histories,
        statistics=statistics,
        executor=executor,
        stage=stage,
    )
    return Answer(value=json_value([asdict(row) for row in rows]), text=describe_randomised(rows))


def truth(
    experiment: Place,
    results: Place = "results",
    *,
    positions: Place | None = None,
    liquidations: bool = True,
    out: Place | None = None,
    stage: Stage = silent,
) -> Answer:
    """Hold an experiment's maps against the truth, beside every twin, baseline and rival.

    Parameters
    ----------
    experiment, results : Path or str
        The YAML, and the folder of runs.
    positions : Path or str, optional
        Recorded positions with their liquidation prices (Hyperliquid's layout).
    liquidations : bool
        Whether the hours' totals are asked too, where the experiment has a fortnight of them: takes
        longest. Single liquidations are in any case.
    out : Path or str, optional
        Folder for the page; `RESULTS/NAME/truth` by default.
    stage : Stage
        Told what is done, of how much.
    """
    from liqbt.report.pages.truth import describe_truth, write_truth_page
    from liqbt.study.map_truth import map_truth

    found = map_truth(
        Path(experiment),
        Path(results),
        recorded=None if positions is None else Path(positions),
        liquidations=liquidations,
        stage=stage,
    )
    value = json_value(asdict(found))
    folder = Path(results) / found.experiment / "truth" if out is None else Path(out)
    page = write_truth_page(value, folder)
    return Answer(value={**value, "page": str(page)}, text=describe_truth(value), page=page)


def reproduce(
    run: Result | Run | Place, experiment: Place | None = None, *, stage: Stage = silent
) -> Answer:
    """Make a finished run again in a temporary folder, and say where the bytes part.

    Parameters
    ----------
    run : Result, Run, Path or str
        The run; nothing of it changes.
    experiment : Path or str, optional
        Its YAML, which says where its data lie; looked for by its name by default.
    stage : Stage
        Told what is done, of how much.
    """
    from liqbt.gate.reproduce import reproduce as made_again
    from liqbt.report.pages.run import write_report

    found = made_again(
        opened_run(run).path,
        experiment=None if experiment is None else Path(experiment),
        finish=write_report,
        stage=stage,
    )
    return Answer(value=found.value(), text=found.text)


def ingest(column_map: Place, files: Sequence[Place] | Place, log: Place) -> Answer:
    """Read files into an event log by a column map, or a vendor's name.

    Parameters
    ----------
    column_map : Path or str
        The map's YAML, or such as `binance-um`.
    files : sequence of Path or str, or one
        What is read; the same file twice adds nothing.
    log : Path or str
        The event log; made where there is none.

    Raises
    ------
    RefusedError
        If a file was refused; the others are in the log.
    """
    from liqbt.study.ingest import describe_ingest, ingest_files

    named = [files] if isinstance(files, str | Path) else list(files)
    reports = ingest_files(Path(column_map), [Path(f) for f in named], Path(log), stage=silent)
    value = [
        {"file": r.file, "rows": r.rows, "events": r.events, "quarantined": r.quarantined}
        for r in reports
    ]
    return Answer(value=value, text="\n".join(describe_ingest(r) for r in reports))


def report(run: Result | Run | Place, out: Place | None = None) -> Path:
    """Write the report of a finished run anew, in its folder or another; return the page."""
    from liqbt.report.pages.run import write_report
    from liqbt.study.store import write_report_again

    found = opened_run(run)
    if out is None:
        return write_report_again(found, write_report).path / "report.html"
    return write_report(found, Path(out))
