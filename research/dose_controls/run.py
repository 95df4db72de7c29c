"""Try what stands beside the dose: how often each form finds a magnet that is or is not there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from liqbt.evaluation.bins import (
    ResponseBins,
    anchors_of,
    drift_response,
    rank_contrast,
    response_blocks,
)
from liqbt.evaluation.claims.register import CLAIMS
from liqbt.evaluation.inference.days import DaySums, Draws, draw
from liqbt.evaluation.inference.estimates import Estimate, estimate
from liqbt.evaluation.nulls.levels import trends
from liqbt.replay import replay
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study.estimators import build_estimator
from liqbt.study.pipeline import forecast_times, market_input, protocol, scored_from
from liqbt.study.replicate import world_experiment
from liqbt.study.worlds import load_world
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection
from liqbt.types import DAY_NS, HOUR_NS, FloatArray

HERE = Path(__file__).resolve().parent
WORLDS = HERE.parent.parent / "liqbt" / "data" / "worlds"
FIRST_SEED = 1_000_000
"""Apart from the seeds of the validity gate, which the form must not be chosen on."""

BOUND = next(claim.least_bound for claim in CLAIMS if claim.id == "magnet")

HOURS = (6, 12, 24, 48, 72, 120, 168, 336)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One market: its bins, and trends of `HOURS` at each."""

    bins: ResponseBins
    trend: FloatArray


def _of(case: Case, *hours: int) -> FloatArray:
    return case.trend[:, [HOURS.index(h) for h in hours]]


def _plain(case: Case) -> list[FloatArray]:
    return [np.ones((len(case.trend), 1)), _of(case, 24, 72)]


def _shaped(case: Case, *hours: int, cubed: bool = False) -> list[FloatArray]:
    drift = drift_response(case.bins.distance_sigma)[:, None]
    columns = [drift, _of(case, *hours) * drift]
    return [*columns, _of(case, *hours) ** 3 * drift] if cubed else columns


FORMS: Mapping[str, Callable[[Case], Sequence[FloatArray]]] = {
    "none": lambda case: [np.zeros((len(case.trend), 1))],
    "constant, 1 d, 3 d": _plain,
    "through s(d): 1 d, 3 d": lambda c: _shaped(c, 24, 72),
    "through s(d): 12 h, 1 d, 3 d": lambda c: _shaped(c, 12, 24, 72),
    "through s(d): 12 h, 1 d, 3 d, 7 d": lambda c: _shaped(c, 12, 24, 72, 168),
    "through s(d): the same, and cubes": lambda c: _shaped(c, 12, 24, 72, 168, cubed=True),
    "through s(d): eight, 6 h to 14 d": lambda c: _shaped(c, *HOURS),
}


def made(name: str, magnet: float, number: int) -> Case:
    """Simulate a market of four months, ask for a map once a day, and return its bins."""
    world: World = load_world(WORLDS / f"{name}.yaml")
    if magnet:
        world = replace(world, mechanisms=replace(world.mechanisms, magnet=magnet))
    experiment = world_experiment(world)
    seed = np.random.SeedSequence(0, spawn_key=(FIRST_SEED + number,)).spawn(3)[0]
    market = simulate(world, seed=seed)
    kinds = dict(experiment.symbols["SIM"].events)
    tape = tape_from_tables(market.tables, Selection(kinds=kinds))
    times = forecast_times(experiment, tape)
    first = times[times >= scored_from(experiment, "SIM", tape)][0]
    daily = np.arange(first, times[-1] + 1, DAY_NS)
    forecasts = replay(tape, build_estimator(experiment, "SIM"), daily)
    one = market_input(experiment, "SIM", forecasts, tape)
    config = protocol(experiment.evaluation)
    (bins,) = response_blocks(
        one.forecasts, one.path, config, horizon_ns=DAY_NS, at_once=len(one.forecasts)
    )
    known = trends(anchors_of(one.forecasts), one.path, [h * HOUR_NS for h in HOURS])
    return Case(bins=bins, trend=known[bins.forecast])


def fitted(form: str, case: Case, draws: Draws) -> Estimate:
    """Return the dose of one market beside the columns of a form."""
    bins, controls = case.bins, np.column_stack(FORMS[form](case))
    both = np.column_stack([rank_contrast(bins), bins.visited[:, 1] - bins.visited[:, 0]])
    x, y = (both - controls @ np.linalg.lstsq(controls, both, rcond=None)[0]).T
    free = int(np.linalg.matrix_rank(controls)) + 1
    day = bins.at // DAY_NS - (bins.at // DAY_NS).min()
    n_days = int(np.count_nonzero(np.bincount(day)))
    days = DaySums(
        total=np.bincount(day, x * y),
        count=np.bincount(day, x * x),
        n_units=bins.n_landmarks,
        size=np.bincount(day, np.abs(x * y)),
        freedom=(n_days - free) / (n_days - 1),
    )
    return estimate(days, DAY_NS, draws)


def tried(number: int, name: str, magnet: float) -> dict[str, tuple[float, bool, bool]]:
    """Return of each form the dose of one market, and whether it lay above 0 and above `BOUND`."""
    case = made(name, magnet, number)
    draws = draw(np.random.default_rng(1), reps=2000, n_days=130)
    found = {form: fitted(form, case, draws) for form in FORMS}
    return {
        form: (e.value, e.agree and e.ci_low > 0.0, e.agree and e.ci_low > BOUND)
        for form, e in found.items()
    }


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=480, help="of each world without a magnet")
    parser.add_argument("--planted", type=int, default=60, help="of each strength of the magnet")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    worlds = [
        ("momentum", 0.0, arguments.markets),
        ("regimes", 0.0, arguments.markets),
        ("magnet", 1.0, arguments.planted),
        ("magnet", 2.0, arguments.planted),
    ]
    cells: dict[str, list[str]] = {form: [] for form in FORMS}
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        for name, magnet, n in worlds:
            one = partial(tried, name=name, magnet=magnet)
            rows = list(pool.map(one, range(n), chunksize=4))
            for form in FORMS:
                values = np.array([row[form][0] for row in rows])
                above, found = (sum(bool(row[form][k]) for row in rows) for k in (1, 2))
                error = values.std(ddof=1) / np.sqrt(n)
                cells[form].append(
                    f"{above}, {found} of {n}; {100 * values.mean():+.1f} ({100 * error:.1f})"
                )
    heads = [f"{name} {magnet:g}" if magnet else name for name, magnet, _ in worlds]
    lines = [f"| beside the dose | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    lines += [f"| {form} | {' | '.join(row)} |" for form, row in cells.items()]
    text = "\n".join(lines) + "\n"
    print(text)
    (HERE / "table.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
