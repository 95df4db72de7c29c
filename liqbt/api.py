"""What a notebook holds: a finished run that shows itself, gives frames and draws.

Nothing inside imports this; programs that want arrays take `Result.run`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liqbt.config.fields import instant_ns
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError
from liqbt.study import frames
from liqbt.study.explain import Explanation
from liqbt.study.explain import explain as _explain
from liqbt.study.plan import prepare, prepare_experiment
from liqbt.study.progress import silent
from liqbt.study.run import run_plan
from liqbt.study.schema import Experiment
from liqbt.study.store import Run, load_run
from liqbt.types import Forecast

if TYPE_CHECKING:
    import pandas as pd

    from liqbt.gate.check import GateReport
    from liqbt.report.figures.style import Figure


def run(
    experiment: Experiment | Path | str,
    results: Path | str = "results",
    *,
    beside: Path | str = ".",
) -> Result:
    """Run an experiment and write its report, or read the finished run of the same identity.

    Parameters
    ----------
    experiment : Experiment, Path or str
        Its YAML file, or one in memory.
    results : Path or str
        Folder of all runs.
    beside : Path or str
        Of one in memory: the folder that relative names in it are relative to.

    Raises
    ------
    LiqbtError
        If the configuration or the data cannot be used; nothing is left behind.
    """
    from liqbt.report.pages.run import write_report

    kept = Path(results)
    if isinstance(experiment, Experiment):
        where = Path(beside) / f"{experiment.name}.yaml"
        plan = prepare_experiment(experiment, where, kept)
    else:
        plan = prepare(Path(experiment), kept)
    return Result(run_plan(plan, kept, write_report, silent))


def load(folder: Path | str) -> Result:
    """Read a finished run.

    Raises
    ------
    DataError
        If there is none, or it is not whole.

    Examples
    --------
    >>> load("nowhere")
    Traceback (most recent call last):
    liqbt.errors.DataError: nowhere/manifest.json: missing; is nowhere the folder of a run?
    """
    return Result(load_run(Path(folder)))


def line(
    run: Result | Run | Path | str, *, symbol: str | None = None, at: Any | None = None
) -> str:
    """Return the one-line summary of a forecast, a line a market.

    Parameters
    ----------
    run : Result, Run, Path or str
        A finished run, or its folder.
    symbol : str, optional
        One market.
    at : optional
        The last forecast issued by then is taken: a timestamp with a zone, or text (UTC).
    """
    from liqbt.report.line import line as written

    return written(opened_run(run), symbol=symbol, at=None if at is None else instant(at))


def check(run: Result | Run | Path | str, baseline: Path | str) -> GateReport:
    """Hold a finished run's scores against a baseline file; `.passed` says whether they held."""
    from liqbt.gate.baseline import load_baseline
    from liqbt.gate.check import check as hold
    from liqbt.gate.identity import open_run

    return hold(open_run(opened_run(run).path), load_baseline(Path(baseline)))


def opened_run(run: Result | Run | Path | str) -> Run:
    """Return the run of a result, of a folder, or as it is given."""
    if isinstance(run, Result):
        return run.run
    return run if isinstance(run, Run) else load_run(Path(run))


def instant(at: Any, name: str = "at") -> int:
    """Return a timestamp with a zone, or text, which is UTC where it names none, as ns."""
    try:
        if isinstance(at, str):
            return instant_ns(at)
        if at.tzinfo is None:
            raise ValueError(f"{at} has no zone")
        import pandas as pd

        return int(pd.Timestamp(at).as_unit("ns").value)
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{name}: found {at!r}; expected a time with a zone ({error})") from None


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the report, as a notebook shows it."""

    figure: Figure

    def save(self, path: Path | str) -> Path:
        """Write the picture's bytes: PNG or SVG, as `figure.name` ends."""
        out = Path(path)
        out.write_bytes(self.figure.data)
        return out

    def _repr_html_(self) -> str:
        from base64 import b64encode

        one = self.figure
        kind = "svg+xml" if one.name.endswith(".svg") else "png"
        data = b64encode(one.data).decode()
        return (
            f'<figure><img alt="{escape(one.alt)}" src="data:image/{kind};base64,{data}" '
            f'style="max-width:100%"><figcaption>{escape(one.caption)}</figcaption></figure>'
        )


@dataclass(frozen=True, slots=True)
class MapView:
    """The map of a run's markets."""

    run: Run

    def plot(self, symbol: str | None = None, *, recent: bool = False) -> Picture:
        """Draw the map over time, with the price through it.

        Parameters
        ----------
        symbol : str, optional
            A market; the first by default.
        recent : bool
            The last two weeks, of a longer run.
        """
        known = list(self.run.manifest["symbols"])
        name = known[0] if symbol is None else symbol
        if name not in known:
            raise ConfigError(f"no market {name!r}; {nearest(name, known)}")
        from liqbt.report.figures.drawn import map_figures
        from liqbt.report.figures.style import drawing

        forecasts = self.run.forecasts(name)
        if not forecasts:
            raise ConfigError(f"the run holds no forecast of {name}")
        draw = map_figures(self.run, known.index(name) + 1, name, forecasts)
        with drawing():
            return Picture(draw["recent" if recent and "recent" in draw else "map"]())

    def summed(self, *symbols: str) -> list[Forecast]:
        """Return the sum of maps of several markets, one a venue, each by its own margin rule.

        Parameters
        ----------
        *symbols : str
            Markets of the run; all of them where none is named. The mark is that of the first.

        Returns
        -------
        list of Forecast
            At the times at which all of them issued one.
        """
        known = list(self.run.manifest["symbols"])
        for name in symbols:
            if name not in known:
                raise ConfigError(f"no market {name!r}; {nearest(name, known)}")
        from liqbt.estimators.density import summed

        wanted = symbols or tuple(known)
        issued = [{f.at: f for f in self.run.forecasts(name)} for name in wanted]
        times = sorted(set.intersection(*(set(one) for one in issued)))
        return [summed([one[at] for one in issued], " + ".join(wanted)) for at in times]


class Result:
    """A finished run.

    Attributes
    ----------
    run : Run
        The same as values and arrays.
    clusters, forecasts, scores, verdicts, episodes, prices, events : DataFrame
        See the functions of `liqbt.study.frames`, which document the columns: of the first
        estimator and, of events, the first market; ask those functions for others.
    map : MapView
        `map.plot()` draws it.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.run.path

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """A row for each cluster of each forecast."""
        return frames.cluster_frame(self.run)

    @cached_property
    def forecasts(self) -> pd.DataFrame:
        """A row for each forecast."""
        return frames.forecast_frame(self.run)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row for each score."""
        return frames.score_frame(self.run)

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """A row for each claim."""
        return frames.verdict_frame(self.run)

    @cached_property
    def episodes(self) -> pd.DataFrame:
        """A row for each episode and horizon."""
        return frames.episode_frame(self.run)

    @cached_property
    def prices(self) -> pd.DataFrame:
        """The prices that outcomes were taken from."""
        return frames.price_frame(self.run)

    @cached_property
    def events(self) -> pd.DataFrame:
        """The events of the first market, as they were replayed."""
        return frames.event_frame(self.run)

    @property
    def map(self) -> MapView:
        """The map, to be drawn."""
        return MapView(self.run)

    def plot(self, name: str) -> Picture:
        """Draw a figure of the report, such as `dose` or `flow`: the first whose name holds it.

        Raises
        ------
        ConfigError
            If the run has none of that name; lists those it has.
        """
        from liqbt.report.figures.drawn import charts
        from liqbt.report.figures.style import drawing

        known = charts(self.run)
        for key in sorted(known, key=lambda key: key != name):
            if name in key:
                with drawing():
                    drawn = known[key]()
                if drawn is not None:
                    return Picture(drawn)
        raise ConfigError(f"no figure {name!r}; expected one of {', '.join(known)}")

    def explain(
        self, at: Any, price: float, *, symbol: str | None = None, estimator: str | None = None
    ) -> Explanation:
        """Explain the cluster at a price, in the last forecast issued by a time.

        Parameters
        ----------
        at : timestamp or str
            With a zone; text without one is UTC.
        price : float
            In the cluster, or near it.
        symbol, estimator : str, optional
            By default the first ones.
        """
        return _explain(self.run, instant(at), price, symbol=symbol, estimator=estimator)

    def __repr__(self) -> str:
        from liqbt.report.narrative import headline

        return headline(self.run)

    def _repr_html_(self) -> str:
        from liqbt.report.narrative import headline
        from liqbt.report.verdicts import verdict_table

        table = verdict_table(self.run)
        head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in table.rows
        )
        return (
            f"<p>{escape(headline(self.run))}</p><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table><p>report: {escape(str(self.path / 'report.html'))}</p>"
        )
