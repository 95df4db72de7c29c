"""Run folders: written whole under a temporary name, renamed once, read back as values.

`results/<experiment>/<run_id>/` holds

- `manifest.json`: identity, provenance, data completeness, SHA-256 of itself and of every other
  file, which is held against it when it is read (`liqbt.study.written`);
- `config.yaml`: the configuration with every default filled in;
- `metrics.json`: the scores, rows of the one schema of `Score`;
- `tables.json`: verdicts, flow of counts, distance bands, sensitivities;
- `days.parquet`: the day sums of every row of scores that has a value;
- `forecasts.parquet`, `outcomes.parquet`, `first_sides.parquet`, `prices.parquet`;
- `funding.parquet`, where it is fed;
- `clusters.parquet`: a row a cluster and forecast, with its P(visit) within 24 h, `p`, and that of
  a random level there, `p_placebo`; NaN where none was issued; which cluster it is, since when, how
  it stands out, and how sure its notional is;
- `visits.parquet`, `cluster_visits.parquet`: probabilities of a visit, where 24 h is scored; of
  clusters also those whose window was not watched through (`visited` -1): their outcome is open;
- of a simulated market, the truth beside its figures: `truth.json`, `truth_map.parquet`;
- what the report adds: `report.html`, `report.md`, `explore.html`, `figures/`, `curves.json`, of
  many markets `markets/`, a page for each; it alone is written
  again where the version that reads the run would write another.

Nothing in it depends on a clock or on the machine: the same run writes the same bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import math
import os
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from liqbt.errors import AlreadyRunningError, DataError, StoppedError, first_line
from liqbt.evaluation.inference.days import DaySums
from liqbt.forecasts import column, joined_clusters, joined_intervals
from liqbt.log.disk import read_parquet, sha256_file, sync_folder
from liqbt.study.executors import Executor, begun, serially
from liqbt.study.identity import report_digest
from liqbt.study.written import (
    MANIFEST,
    is_intact,
    json_text,
    read_json,
    require_as_written,
    require_sealed,
    sealed,
)
from liqbt.types import CLUSTER_DTYPE, DensityGrid, Forecast, Score, Verdict, VerdictWord

GROUP: Final = 4096
"""Rows of a table that are written, and read, together."""
_FLOATS: Final = (
    "mark",
    "sigma_1d",
    "asymmetry",
    "asymmetry_reach",
    "open_interest_usd",
    "observed_long_usd",
    "observed_short_usd",
)
_STATED: Final = ("prior_from_long", "prior_from_short")
"""Scalars that a file holds where an estimator states them."""
_ENDS: Final = ("notional_low_usd", "notional_high_usd")
"""Lists of the ends of clusters' intervals, where an estimator states them."""


def structured_table(
    rows: npt.NDArray[Any], extra: Mapping[str, Sequence[Any]] | None = None
) -> pa.Table:
    """Return a structured array as a table, a column per field, `extra` columns first."""
    columns: dict[str, Any] = dict(extra or {})
    names = rows.dtype.names or ()
    columns.update({name: np.ascontiguousarray(rows[name]) for name in names})
    return pa.table(columns)


def forecast_table(forecasts: Sequence[Forecast]) -> pa.Table:
    """Return forecasts as a table: scalars, two density lists, a list of clusters."""
    return pa.concat_tables(forecast_tables(forecasts)).combine_chunks()


def forecast_tables(forecasts: Sequence[Forecast]) -> Iterator[pa.Table]:
    """Yield `forecast_table` a group of rows at a time, all of one schema; at least one."""
    stated = [name for name in _STATED if not np.isnan(column(forecasts, name)).all()]
    if len(forecasts) and all(f.notional_interval is not None for f in forecasts):
        stated += _ENDS
    for i in range(0, max(len(forecasts), 1), GROUP):
        yield _forecast_rows(forecasts[i : i + GROUP], stated)


def _forecast_rows(forecasts: Sequence[Forecast], stated: Collection[str]) -> pa.Table:
    clusters = joined_clusters(forecasts)
    ends = np.cumsum([0, *(len(f.clusters) for f in forecasts)], dtype=np.int32)
    struct = pa.StructArray.from_arrays(
        [np.ascontiguousarray(clusters[name]) for name in CLUSTER_DTYPE.names or ()],
        names=list(CLUSTER_DTYPE.names or ()),
    )
    columns: dict[str, Any] = {
        "symbol": pa.array([f.symbol for f in forecasts], pa.string()),
    }
    for name in ("at", "latest_known", "mark_ts", "mark_bin"):
        columns[name] = pa.array([getattr(f, name) for f in forecasts], pa.int64())
    for name in _FLOATS:
        columns[name] = pa.array([getattr(f, name) for f in forecasts], pa.float64())
    for name in _STATED:
        if name in stated:
            columns[name] = pa.array([getattr(f, name) for f in forecasts], pa.float64())
    for name in ("anchor", "step"):
        columns[name] = pa.array([getattr(f.grid, name) for f in forecasts], pa.float64())
    for name in ("fine_bins", "coarse"):
        columns[name] = pa.array([getattr(f.grid, name) for f in forecasts], pa.int64())
    widths = np.cumsum([0, *(f.density_usd.shape[1] for f in forecasts)], dtype=np.int32)
    for row, name in enumerate(("density_long_usd", "density_short_usd")):
        values = np.concatenate([f.density_usd[row] for f in forecasts] or [np.empty(0, "<f4")])
        columns[name] = pa.ListArray.from_arrays(widths, values)
    columns["clusters"] = pa.ListArray.from_arrays(ends, struct)
    if set(_ENDS) <= set(stated):
        for name, side in zip(_ENDS, joined_intervals(forecasts).T, strict=True):
            columns[name] = pa.ListArray.from_arrays(ends, np.ascontiguousarray(side))
    return pa.table(columns)


def forecasts_of(table: pa.Table) -> list[Forecast]:
    """Return the forecasts that `forecast_table` made a table of, in its order, read-only."""
    columns = {
        name: table[name].fill_null(math.nan).to_pylist()
        if name in _STATED
        else table[name].to_pylist()
        for name in table.column_names
        if name not in {"clusters", "density_long_usd", "density_short_usd", *_ENDS}
    }
    both = None
    if set(_ENDS) <= set(table.column_names) and not table[_ENDS[0]].null_count:
        pairs = [table[name].combine_chunks().flatten().to_numpy() for name in _ENDS]
        both = np.column_stack(pairs)
        both.setflags(write=False)
    lists = table["clusters"].combine_chunks()
    struct = lists.flatten()
    clusters = np.empty(len(struct), CLUSTER_DTYPE)
    for name in CLUSTER_DTYPE.names or ():
        clusters[name] = struct.field(name).to_numpy(zero_copy_only=False)
    clusters.setflags(write=False)
    ends = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False))])
    density = [table[f"density_{side}_usd"].combine_chunks() for side in ("long", "short")]
    widths = np.concatenate(
        [[0], np.cumsum(density[0].value_lengths().to_numpy(zero_copy_only=False))]
    ).astype(int)
    flat = np.stack([d.flatten().to_numpy(zero_copy_only=False) for d in density])
    flat.setflags(write=False)
    result = []
    for i in range(table.num_rows):
        grid = DensityGrid(
            anchor=columns["anchor"][i],
            step=columns["step"][i],
            fine_bins=columns["fine_bins"][i],
            coarse=columns["coarse"][i],
        )
        result.append(
            Forecast(
                symbol=columns["symbol"][i],
                at=columns["at"][i],
                latest_known=columns["latest_known"][i],
                mark_ts=columns["mark_ts"][i],
                mark_bin=columns["mark_bin"][i],
                grid=grid,
                density_usd=flat[:, widths[i] : widths[i + 1]],
                clusters=clusters[int(ends[i]) : int(ends[i + 1])],
                notional_interval=None if both is None else both[ends[i] : ends[i + 1]],
                **{name: columns[name][i] for name in (*_FLOATS, *_STATED) if name in columns},
            )
        )
    return result


class Key(NamedTuple):
    """What names a row of scores."""

    estimator: str
    claim: str
    symbol: str
    horizon: str
    side: str
    statistic: str


KEY: Final = Key._fields


def key_of(score: Score) -> Key:
    """Return what names a row."""
    return Key(*(str(getattr(score, name)) for name in KEY))


SUMS: Final = ("total", "count", "size", "null", "hits")
"""The lists of `days.parquet`, by the names of `DaySums`: an entry a day; null for none."""

Part: TypeAlias = pa.Table | Path
"""A part of a table, or a file that holds one."""
Rows: TypeAlias = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run, read from its folder.

    Attributes
    ----------
    path : Path
        The folder.
    manifest, config : mapping
        Provenance, and the configuration with its defaults.
    scores : tuple of Score
        Rows of `metrics.json`.
    verdicts : tuple of Verdict
        One for each claim that this version tests.
    flow, landmarks, bands, sensitivities : tuple of mapping
        Counts from snapshots to scored episodes, and of landmarks; rates by distance band; scores
        under other choices (`name` and the fields of `Score`).
    reliability, corp : tuple of mapping
        Of clusters' probabilities of a visit, by `probability`: frequencies by bins of it, and the
        parts of its Brier score. Empty where none was issued.
    compared : tuple of mapping
        What each further estimator (`estimator`) scores less the first one (`base`), row by row of
        their scores, paired by the days of either: `claim`, `symbol`, `horizon`, `side`,
        `statistic`, `value`, `ci_low`, `ci_high`, `n_days`. No row of counts, nor where fewer than
        half of the days are shared; empty where there is one estimator.
    twin, twin_scores : tuple of mapping
        The price-only twin of each estimator; see `liqbt.study.twin.twin_tables`. Empty where
        nothing was replayed: of published levels.
    randomised : tuple of mapping
        What decides claims beside placebo histories; see `liqbt.study.randomise.Randomised`. Empty
        where none were asked for.
    pooling : tuple of mapping
        Of each pooled row of scores: how many `markets` it is of, and how many independent ones
        they are worth (`equivalent`). Empty where there is one market.
    """

    path: Path
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    scores: tuple[Score, ...]
    verdicts: tuple[Verdict, ...]
    flow: Rows
    landmarks: Rows
    bands: Rows
    sensitivities: Rows
    reliability: Rows = ()
    corp: Rows = ()
    compared: Rows = ()
    twin: Rows = ()
    twin_scores: Rows = ()
    randomised: Rows = ()
    pooling: Rows = ()

    @property
    def run_id(self) -> str:
        """The run's identity."""
        return str(self.manifest["run_id"])

    def _table(
        self,
        file: str,
        holding: tuple[str, str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return a table of the run that is as it was written, or the rows that hold a value."""
        require_as_written(self.path, self.manifest, file)
        return _read_table(self.path / file, holding, columns)

    def _rows(
        self,
        file: str,
        estimator: str | None,
        holding: tuple[str, str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return one estimator's rows of a table; of an older run, which had one, all of them."""
        asked = None if columns is None else ["estimator", *columns]
        table = self._table(file, holding, asked)
        names = list(dict.fromkeys(score.estimator for score in self.scores))
        if "estimator" not in table.column_names or not names:
            return table
        if estimator not in (None, *names):
            raise DataError(f"{self.path}: no estimator '{estimator}' was scored; {names} were")
        return table.filter(pc.equal(table["estimator"], estimator or names[0]))

    def forecasts(self, symbol: str, estimator: str | None = None) -> list[Forecast]:
        """Return forecasts of `symbol`, in order of issue: by default the first estimator's."""
        return forecasts_of(self._rows("forecasts.parquet", estimator, ("symbol", symbol)))

    def prices(self, symbol: str) -> dict[str, npt.NDArray[Any]]:
        """Return the prices that outcomes were taken from: `ts` (int64 ns), `low`, `high`, `close`.

        `ts` is the end of a bar, or the time of a point.
        """
        table = self._table("prices.parquet", ("symbol", symbol)).drop_columns(["symbol"])
        return {name: table[name].to_numpy() for name in table.column_names}

    def funding(self, symbol: str) -> dict[str, npt.NDArray[Any]] | None:
        """Return funding that was fed: `ts_known` (int64 ns), `rate` of eight hours, longs pay.

        None where there was none.
        """
        if not (self.path / "funding.parquet").exists():
            return None
        table = self._table("funding.parquet", ("symbol", symbol))
        return {name: table[name].to_numpy() for name in ("ts_known", "rate")}

    def truth(self) -> Mapping[str, Any] | None:
        """Return the truth beside the figures (see `truth.json`); None for a real market."""
        if not (self.path / "truth.json").is_file():
            return None
        require_as_written(self.path, self.manifest, "truth.json")
        found: Mapping[str, Any] = read_json(self.path / "truth.json")
        return found

    def true_map(self, symbol: str) -> dict[str, npt.NDArray[Any]]:
        """Return the true map at the last forecast: `side`, `low`, `high`, `notional_usd`, `ts_ns`.

        Raises
        ------
        DataError
            If the run has none, as one of a real market.
        """
        table = self._table("truth_map.parquet", ("symbol", symbol)).drop_columns(["symbol"])
        return {name: table[name].to_numpy() for name in table.column_names}

    def outcomes(
        self,
        estimator: str | None = None,
        market: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return the outcome table: one row per horizon and eligible (forecast, cluster).

        Of one market, or of all; of `columns`, those that there are, or all. Here and below: of the
        estimator of a name, by default the first.
        """
        holding = None if market is None else ("market", market)
        return self._rows("outcomes.parquet", estimator, holding, columns)

    def first_sides(self, estimator: str | None = None) -> pa.Table:
        """Return the landmark table: one row per horizon and non-overlapping window."""
        return self._rows("first_sides.parquet", estimator)

    def days(self) -> dict[Key, DaySums]:
        """Return the day sums of every row of scores that has some, by what names the row."""
        found = {}
        for row in self._table("days.parquet").to_pylist():
            key = Key(*(row.pop(name) for name in KEY))
            lists = {name: np.array(row[name]) for name in SUMS if row.get(name) is not None}
            found[key] = DaySums(**{**row, **lists})
        return found

    def visits(self, estimator: str | None = None) -> pa.Table | None:
        """Return what was issued for levels that no map draws; None where nothing was."""
        there = (self.path / "visits.parquet").exists()
        return self._rows("visits.parquet", estimator) if there else None

    def clusters(
        self,
        symbol: str | None = None,
        estimator: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table | None:
        """Return a row for each cluster of each forecast; None of a run of before there was one."""
        there = (self.path / "clusters.parquet").exists()
        holding = None if symbol is None else ("symbol", symbol)
        return self._rows("clusters.parquet", estimator, holding, columns) if there else None

    def cluster_visits(self, estimator: str | None = None) -> pa.Table | None:
        """Return what was issued for clusters at their episodes' births; None where nothing was."""
        there = (self.path / "cluster_visits.parquet").exists()
        return self._rows("cluster_visits.parquet", estimator) if there else None


def _read_table(
    path: Path, holding: tuple[str, str] | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    asked = None if columns is None else [*columns, *(() if holding is None else holding[:1])]
    try:
        table = read_parquet(path, asked, holding=holding)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet; run the experiment again") from error
    return table if holding is None else table.filter(pc.equal(table[holding[0]], holding[1]))


def write_streamed(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables of one schema, at least one, as one Parquet file for the time being."""
    tables = iter(tables)
    table = next(tables)
    with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
        for each in chain([table], tables):
            writer.write_table(each, row_group_size=GROUP)


def write_parts(path: Path, parts: Sequence[Part]) -> None:
    """Write the parts of a table as one Parquet file, one group of rows at a time.

    A column that some of them lack is null there.
    """
    schema = pa.unify_schemas([_schema(part) for part in parts], promote_options="default")
    words = [field.name for field in schema if pa.types.is_string(field.type)]
    # numbers hardly repeat: a dictionary costs time and space
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=words) as writer:
        for part in parts:
            for table in [part] if isinstance(part, pa.Table) else row_groups(part):
                whole = pa.concat_tables([schema.empty_table(), table], promote_options="default")
                writer.write_table(whole, row_group_size=GROUP)


def _schema(part: Part) -> pa.Schema:
    return part.schema if isinstance(part, pa.Table) else pq.read_schema(part)


def row_groups(path: Path) -> Iterator[pa.Table]:
    """Yield a Parquet file's rows, a group at a time."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for i in range(file.num_row_groups):
            yield file.read_row_groups([i], use_threads=False)


def write_run(
    final: Path,
    *,
    manifest: Mapping[str, Any],
    config: Mapping[str, Any],
    scores: Sequence[Score],
    verdicts: Sequence[Verdict],
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    parquet: Mapping[str, Sequence[Part]],
    truth: Mapping[str, Any] | None = None,
    finish: Callable[[Run, Path], object] | None = None,
    executor: Executor = serially,
) -> Run:
    """Write a run's folder whole, or leave nothing.

    Parameters
    ----------
    final : Path
        The folder to be; it must not exist.
    manifest, config, scores, verdicts, tables, parquet
        The contents; `parquet` maps file names to the parts of a table.
    truth : mapping, optional
        Of a simulated market: the truth beside its figures.
    finish : callable, optional
        Called with the run and its temporary folder before the rename, to add the report.
    executor : callable
        Where tables are written, a task each; it changes no byte.

    Returns
    -------
    Run
        As read back from `final`.
    """
    _clear_killed(final)
    partial = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    partial.mkdir(parents=True)
    try:
        with begun(executor(_Written(partial, parquet), list(parquet))) as written:
            _write_json(partial / "metrics.json", [json_value(asdict(score)) for score in scores])
            verdict_rows = [json_value(asdict(verdict)) for verdict in verdicts]
            _write_json(partial / "tables.json", {"verdicts": verdict_rows, **json_value(tables)})
            if truth is not None:
                _write_json(partial / "truth.json", truth)
            text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
            (partial / "config.yaml").write_text(text, encoding="utf-8")
            _write_json(partial / MANIFEST, manifest)
            deque(written, maxlen=0)
        before = _digests(partial)
        if finish is not None:
            finish(_loaded(partial, read_json(partial / MANIFEST)), partial)
        _finish_manifest(partial, manifest, before, reported=finish is not None)
        _sync(partial)
        partial.rename(final)
        sync_folder(final.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return load_run(final)


def _sync(folder: Path) -> None:
    """Force a run to the disk before it has its name: a power cut leaves all of it, or none."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class _Written:
    """Writes one table of a run: a task."""

    folder: Path
    parquet: Mapping[str, Sequence[Part]]

    def __call__(self, name: str) -> None:
        """Write the parts of a table."""
        write_parts(self.folder / name, self.parquet[name])


def _clear_killed(final: Path) -> None:
    """Remove what killed writers left beside a run whose lock the caller holds.

    The run's own parts (`parts_of`) are not among it.
    """
    for killed in (*final.parent.glob(".*.tmp"), *final.parent.glob(".*.parts")):
        run_id = killed.name[1:].partition(".")[0]
        if run_id == final.name and killed.suffix == ".parts":
            continue
        if run_id == final.name:
            shutil.rmtree(killed, ignore_errors=True)
            continue
        with contextlib.suppress(AlreadyRunningError), run_lock(final.with_name(run_id)):
            shutil.rmtree(killed, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in files}


def _finish_manifest(
    folder: Path, manifest: Mapping[str, Any], before: Collection[str], *, reported: bool
) -> None:
    """Write the manifest with the digests of all files, and which of them are the report's."""
    files = _digests(folder)
    own = [name for name in files if name not in before]
    said = {"report": {"code": report_digest(), "files": own}} if reported else {}
    _write_json(folder / MANIFEST, sealed(json_value({**manifest, **said, "files": files})))


def has_report(run: Run) -> bool:
    """Return whether a run's report is the one that this version would write."""
    return bool(run.manifest.get("report", {}).get("code") == report_digest())


def write_report_again(run: Run, finish: Callable[[Run, Path], object]) -> Run:
    """Write the report of a finished run anew, and nothing else of it.

    Parameters
    ----------
    run : Run
        As it was loaded.
    finish : callable
        As in `write_run`.

    Raises
    ------
    DataError
        If a file that is no part of the report is not as the run wrote it: nothing is written.
    """
    old = run.manifest.get("report", {}).get("files", ())
    kept = {name for name in run.manifest["files"] if name not in old}
    for name in sorted(kept):
        require_as_written(run.path, run.manifest, name)
    partial = run.path.with_name(f".{run.path.name}.{os.getpid()}.tmp")
    partial.mkdir()
    try:
        finish(run, partial)
        for name in old:
            (run.path / name).unlink(missing_ok=True)
        shutil.copytree(partial, run.path, dirs_exist_ok=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    manifest = {k: v for k, v in run.manifest.items() if k not in ("files", "report", "self")}
    _finish_manifest(run.path, manifest, kept, reported=True)
    return load_run(run.path)


def load_run(path: Path | str) -> Run:
    """Read a run's folder.

    Raises
    ------
    DataError
        If it is not one, or not as it was written; names what is missing, unreadable or altered.
    """
    path = Path(path)
    manifest = read_json(path / MANIFEST)
    if not (isinstance(manifest, dict) and manifest.get("run_id")):
        raise DataError(f"{path}: not the folder of a whole run ({MANIFEST} names none)")
    require_sealed(path / MANIFEST, manifest)
    for name in ("tables.json", "metrics.json", "config.yaml"):
        require_as_written(path, manifest, name)
    return _loaded(path, manifest)


def _loaded(path: Path, manifest: Mapping[str, Any]) -> Run:
    """Return the run of a folder, as it is there."""
    tables, scores = (read_json(path / f"{name}.json") for name in ("tables", "metrics"))
    try:
        config = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(
            f"{path / 'config.yaml'}: cannot be read; run the experiment again"
        ) from error
    try:
        if not isinstance(config, dict) or not manifest["run_id"]:
            raise ValueError("config.yaml or run_id is empty")
        return Run(
            path=path,
            manifest=manifest,
            config=config,
            scores=tuple(_score(row) for row in scores),
            verdicts=tuple(_verdict(row) for row in tables["verdicts"]),
            flow=tuple(tables["flow"]),
            landmarks=tuple(tables["landmarks"]),
            bands=tuple(_numbers(row) for row in tables["bands"]),
            sensitivities=tuple(_numbers(row) for row in tables["sensitivities"]),
            reliability=tuple(_numbers(row) for row in tables.get("reliability", ())),
            corp=tuple(_numbers(row) for row in tables.get("corp", ())),
            compared=tuple(_numbers(row) for row in tables.get("compared", ())),
            twin=tuple(_numbers(row) for row in tables.get("twin", ())),
            twin_scores=tuple(_numbers(row) for row in tables.get("twin_scores", ())),
            randomised=tuple(_numbers(row) for row in tables.get("randomised", ())),
            pooling=tuple(_numbers(row) for row in tables.get("pooling", ())),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not the folder of a whole run ({first_line(error)})") from error


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a run's `manifest.json` alone.

    Raises
    ------
    DataError
        If it is none, or not as it was written; names it.
    """
    found = read_json(path)
    try:
        if not (found["run_id"] and found["hashes"] and found["symbols"] and found["claims"]):
            raise ValueError("a part is empty")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not the manifest of a run ({first_line(error)})") from error
    require_sealed(path, found)
    return dict(found)


def _score(row: Mapping[str, Any]) -> Score:
    return Score(**_numbers(row))


def _verdict(row: Mapping[str, Any]) -> Verdict:
    score = None if row["score"] is None else _score(row["score"])
    return Verdict(
        claim=row["claim"], word=VerdictWord(row["word"]), reason=row["reason"], score=score
    )


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: null stands for it in a row of numbers."""
    return {key: math.nan if value is None else value for key, value in row.items()}


def json_value(value: Any) -> Any:
    """Return a value as JSON can hold it, all the way down: null for NaN and for infinity."""
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json_text(json_value(value)), encoding="utf-8")


def set_aside(path: Path) -> None:
    """Move a damaged run's folder out of the way; nothing happens where there is none."""
    if not path.exists():
        return
    n = 1
    while (aside := path.with_name(f"{path.name}.damaged-{n}")).exists():
        n += 1
    path.rename(aside)
    logging.getLogger(__name__).warning(
        "%s: not as the run wrote it; moved to %s, and made again", path, aside.name
    )


@contextmanager
def run_lock(final: Path) -> Iterator[None]:
    """Hold the right to write `final`; it ends with the process, however that ends.

    Raises
    ------
    AlreadyRunningError
        If another process is writing this very run.
    """
    path = final.parent / ".locks" / final.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(
                f"{final}: another process is writing this run; wait for it to end"
            ) from None
        yield


@contextmanager
def parts_of(final: Path) -> Iterator[Path]:
    """Yield a folder for the parts of a run that is being made; its lock is held.

    It is gone afterwards, unless the work was stopped from outside, or another process is at a part
    of it: then the next one goes on with the parts that are whole.
    """
    folder = final.with_name(f".{final.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except (StoppedError, AlreadyRunningError):
        raise
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def finished_or_made(
    final: Path, make: Callable[[], Run], finish: Callable[[Run, Path], object] | None = None
) -> Run:
    """Return the finished run in `final`, or make it; nobody else can write it meanwhile.

    What is there and is not whole is set aside first.

    Parameters
    ----------
    final : Path
        The run's own folder.
    make : callable
        Writes the run there.
    finish : callable, optional
        Writes the report of a finished run that has none, or that of another version.

    Raises
    ------
    AlreadyRunningError
        If another process is writing this very run.
    """
    with run_lock(final):
        if is_intact(final):
            run = load_run(final)
            if finish is None or has_report(run):
                return run
            return write_report_again(run, finish)
        set_aside(final)
        return make()
