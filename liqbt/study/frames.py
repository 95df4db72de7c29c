"""A run's tables as pandas frames: times as UTC timestamps, sides as words, unknown as missing.

The files are Parquet and JSON: Polars and DuckDB read them without this
(`duckdb.sql("select * from 'RUN/outcomes.parquet' where birth")`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from liqbt.errors import DataError
from liqbt.evaluation.path import Censor
from liqbt.study.store import Run
from liqbt.tape.build import load_cached
from liqbt.tape.values import Tape
from liqbt.types import PAYLOAD, Kind, Side

_SIDES: Final = {int(side): side.name.lower() for side in Side if side}


def utc(ns: npt.ArrayLike) -> pd.DatetimeIndex:
    """Return int64 ns as UTC timestamps; what is negative is missing.

    Examples
    --------
    >>> [str(each) for each in utc([0, -1])]
    ['1970-01-01 00:00:00+00:00', 'NaT']
    """
    values = np.asarray(ns, np.int64)
    stamps = np.where(values < 0, np.iinfo(np.int64).min, values).astype("datetime64[ns]")
    return pd.DatetimeIndex(stamps, tz="UTC")


def side_words(side: npt.ArrayLike) -> pd.Series[Any]:
    """Return sides as words: `long` for positions that are closed below, `short` above.

    Examples
    --------
    >>> list(side_words([1, -1]))
    ['long', 'short']
    """
    return pd.Series(np.asarray(side)).map(_SIDES)


def forecast_frame(run: Run, estimator: str | None = None) -> pd.DataFrame:
    """Return a row for each forecast.

    Columns: `symbol`; `at`, when it was issued; `latest_known`, of the newest event in it; `mark`
    and `mark_ts`; `sigma_1d`, of a day's log return; `asymmetry`, (below − above) / both, within
    `asymmetry_reach` of log price; `crowded_side`; `open_interest_usd`; `observed_long_usd` and
    `observed_short_usd`, liquidated in the day before; `n_clusters`.
    """
    issued = [f for symbol in run.manifest["symbols"] for f in run.forecasts(symbol, estimator)]
    times, plain = ("at", "latest_known", "mark_ts"), ("mark", "sigma_1d", "asymmetry")
    more = ("asymmetry_reach", "open_interest_usd", "observed_long_usd", "observed_short_usd")
    return pd.DataFrame(
        {
            "symbol": [f.symbol for f in issued],
            **{name: utc([getattr(f, name) for f in issued]) for name in times},
            **{name: [getattr(f, name) for f in issued] for name in (*plain, *more)},
            "crowded_side": side_words([int(f.crowded_side) for f in issued]),
            "n_clusters": [len(f.clusters) for f in issued],
        }
    )


def cluster_frame(run: Run, estimator: str | None = None) -> pd.DataFrame:
    """Return a row for each cluster of each forecast.

    Columns: `symbol`, `at` and `mark` of the forecast; `side` of the positions that would be
    closed; `low`, `high` and `peak`, USD; `notional_usd`; `density_rank`, in (0, 1]; `distance`, of
    the near edge from the mark as a share of it, and `distance_sigma`, its log in σ of a day, both
    positive above; `p`, of a visit within 24 h as past clusters taught it, and `p_placebo`, of a
    random level there; both missing where none was issued. What the map says of the cluster itself:
    `track` and `since`, `prominence`, `significance` (`liqbt.evaluation.clusters`);
    `notional_low_usd` and `notional_high_usd`, an interval of 80 %, missing where the estimator
    states none.

    Raises
    ------
    DataError
        If the run is of a version that kept no such table.
    """
    table = run.clusters(estimator=estimator)
    if table is None:
        raise DataError(
            f"{run.path}: holds no 'clusters.parquet', as older versions kept none; expected one: "
            "run the experiment again"
        )
    frame: pd.DataFrame = table.drop_columns(["estimator"]).to_pandas()
    return frame.assign(
        **{k: utc(frame[k]) for k in ("at", "since") if k in frame}, side=side_words(frame["side"])
    )


def score_frame(run: Run) -> pd.DataFrame:
    """Return a row for each score; its columns are the fields of `liqbt.Score`."""
    return pd.DataFrame([asdict(score) for score in run.scores])


def verdict_frame(run: Run) -> pd.DataFrame:
    """Return a row for each claim.

    Columns: `claim`; `verdict`, the word; `reason`; and of the score that it rests on `statistic`,
    `symbol`, `horizon`, `value`, `null`, `ci_low`, `ci_high`, `mde`, `n_episodes` and `n_days`,
    missing where it is not testable.
    """
    numbers = ("value", "null", "ci_low", "ci_high", "mde", "n_episodes", "n_days")
    taken = ("statistic", "symbol", "horizon", *numbers)
    rows = [
        {
            "claim": one.claim,
            "verdict": one.word.value,
            "reason": one.reason,
            **{name: getattr(one.score, name, None) for name in taken},
        }
        for one in run.verdicts
    ]
    return pd.DataFrame(rows, columns=["claim", "verdict", "reason", *taken])


def episode_frame(run: Run, estimator: str | None = None) -> pd.DataFrame:
    """Return a row for each episode and horizon: a cluster's life, counted once.

    Columns: `symbol`; `at`, its birth; `horizon`; `side`; `near` and `far` edge as frozen at birth,
    USD; `distance_sigma`, of the near edge in σ of the horizon; `density_rank`; `visited`, `swept`
    (the far edge) and `mirror_visited`, missing where the window was not watched; `visited_at`;
    `brownian`, the probability of a visit by a random walk; `censored`, why the window has no
    outcome (`none`, `data_end`, `gap`, `unwatched`).
    """
    rows = run.outcomes(estimator).to_pandas()
    rows = rows[rows["birth"]].reset_index(drop=True)
    known = {
        name: rows[name].astype("Int8").mask(rows[name] < 0).astype("boolean")
        for name in ("visited", "swept", "mirror_visited")
    }
    seen = rows["visit_ns"].where(rows["visited"] == 1, -1)
    return pd.DataFrame(
        {
            "symbol": rows["market"],
            "at": utc(rows["at"]),
            "horizon": pd.to_timedelta(rows["horizon_ns"], unit="ns"),
            "side": side_words(rows["side"]),
            **{
                name: rows[name]
                for name in ("near", "far", "distance_sigma", "density_rank", "brownian")
            },
            **known,
            "visited_at": utc(seen),
            "censored": rows["censor"].map({int(c): c.name.lower() for c in Censor}),
        }
    )


def price_frame(run: Run) -> pd.DataFrame:
    """Return the prices that outcomes were taken from: `symbol`, `ts`, `low`, `high`, `close`.

    `ts` is the time of a point, or the end of a bar.
    """
    parts = []
    for symbol in run.manifest["symbols"]:
        rows = run.prices(symbol)
        columns = {name: rows[name] for name in ("low", "high", "close")}
        parts.append(pd.DataFrame({"symbol": symbol, "ts": utc(rows["ts"]), **columns}))
    return pd.concat(parts, ignore_index=True)


def event_frame(run: Run, symbol: str | None = None) -> pd.DataFrame:
    """Return the events of a market as they were replayed, from the tape beside the run.

    Columns: `ts_known` and `ts_event`; `kind`; `instrument`; `side`, missing where it has none;
    `span`, of a bar; and the payload, as `liqbt.types.PAYLOAD` names it, missing in other kinds.

    Raises
    ------
    DataError
        If the tape is no longer there: a run's folder holds what came of events, not the events.
    """
    name = next(iter(run.manifest["symbols"])) if symbol is None else symbol
    tape = _tape(run, name)
    rows = tape.events
    names = np.array([str(instrument) for instrument in tape.instruments], object)
    frame = pd.DataFrame(
        {
            "ts_known": utc(rows["ts_known"]),
            "ts_event": utc(rows["ts_event"]),
            "kind": pd.Series(rows["kind"]).map({int(kind): kind.name.lower() for kind in Kind}),
            "instrument": pd.Categorical(names[rows["instrument"]]),
            "side": side_words(rows["side"]),
            "span": pd.to_timedelta(rows["span_s"], unit="s"),
        }
    )
    for kind, fields in PAYLOAD.items():
        mine = rows["kind"] == kind
        for place, field in enumerate(fields) if mine.any() else ():
            if field not in frame:
                frame[field] = np.nan
            frame.loc[mine, field] = rows[f"p{place}"][mine]
    return frame


def _tape(run: Run, symbol: str) -> Tape:
    wanted = run.manifest["hashes"]["tape"].get(symbol)
    if wanted is None:
        known = ", ".join(run.manifest["symbols"])
        raise DataError(f"{run.path}: no market '{symbol}'; expected one of {known}")
    for meta in sorted((run.path.parent.parent / ".cache" / "tapes").glob("*/*.json")):
        tape = load_cached(meta.parent, meta.stem)
        if tape is not None and tape.digest == wanted:
            return tape
    raise DataError(
        f"{run.path}: found no tape of {symbol} in .cache beside the run; expected the one that it "
        "was made from: run the experiment again with the same data"
    )
