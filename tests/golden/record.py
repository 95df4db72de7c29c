"""Record the golden fixture anew: `python tests/golden/record.py --reason "why it may change"`.

The tape is recorded once, from the simulated market; what is expected of it is recorded beside it,
with the reason of the last change. Nothing is expected to change but by a decision.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from liqbt.estimators.config import MarketSpec
from liqbt.estimators.oi_flow import OIFlow, OIFlowParams
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.evidence import observe
from liqbt.evaluation.path import price_path
from liqbt.forecasts import forecasts_digest
from liqbt.margin.tiers import flat_tiers
from liqbt.replay import replay, schedule
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.tape.values import Tape, tape_from_events
from liqbt.types import DAY_NS, EVENT_DTYPE, HOUR_NS, Instrument, Kind

HERE = Path(__file__).resolve().parent
TAPE, EXPECTED = HERE / "tape.npz", HERE / "expected.json"


def recorded_tape() -> Tape:
    """Return the tape of the fixture: eight days of marks and open interest."""
    with np.load(TAPE) as file:
        events = np.zeros(len(file["ts_known"]), EVENT_DTYPE)
        for name in file.files:
            events[name] = file[name]
    return tape_from_events(events, (Instrument("simulated", "SIM"),))


def results(tape: Tape) -> dict[str, Any]:
    """Return everything that is held: digests over quantised integers, and the episodes."""
    market = MarketSpec(symbol="SIM", tiers=flat_tiers("SIM", 0.004, 125))
    known = tape.events["ts_known"]
    times = schedule(int(known[0]), int(known[-1]) + 1, HOUR_NS)
    forecasts = replay(tape, OIFlow(OIFlowParams(), market), times)
    scored = [f for f in forecasts if f.at >= int(known[0]) + 3 * DAY_NS]
    market = MarketInput(symbol="SIM", forecasts=scored, path=price_path(tape.events, Kind.MARK))
    observed = observe([market], EvaluationConfig(horizons_ns=(4 * HOUR_NS, DAY_NS)))
    births = observed.outcomes[observed.outcomes["birth"]]
    rows = np.column_stack(
        [
            births["horizon_ns"] // HOUR_NS,
            births["forecast"],
            births["cluster"],
            births["side"],
            births["visited"],
            births["mirror_visited"],
            births["censor"],
            np.rint(births["distance_sigma"] * 1e6),
            np.rint(np.nan_to_num(births["brownian"], nan=-1.0) * 1e6),
        ]
    ).astype("<i8")
    return {
        "tape": tape.digest,
        "forecasts": len(forecasts),
        "forecasts_digest": forecasts_digest(forecasts),
        "episodes": len(births),
        "visited": int((births["visited"] == 1).sum()),
        "mirror_visited": int((births["mirror_visited"] == 1).sum()),
        "episodes_digest": hashlib.sha256(rows.tobytes()).hexdigest(),
    }


def record_tape() -> None:
    """Simulate the fixture's market and keep its marks and open interest, rounded."""
    tables = simulate(World(name="golden", days=8, warmup_days=3), seed=20260101).tables
    parts = []
    for kind, names in ((Kind.MARK, ["close"] * 4), (Kind.OPEN_INTEREST, ["open_interest_coins"])):
        table = tables[kind]
        rows = np.zeros(table.num_rows, EVENT_DTYPE)
        for i in range(5):
            rows[f"p{i}"] = np.nan
        rows["kind"] = kind
        for name in ("ts_known", "ts_event"):
            rows[name] = table[name].to_numpy()
        for i, name in enumerate(names):
            rows[f"p{i}"] = np.round(table[name].to_numpy(), 2)
        parts.append(rows)
    events = np.concatenate(parts)
    events = events[np.lexsort((events["kind"], events["ts_event"], events["ts_known"]))]
    np.savez_compressed(
        TAPE,
        **{name: events[name] for name in ("ts_known", "ts_event", "kind")},
        **{f"p{i}": events[f"p{i}"] for i in range(5)},
    )


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reason", required=True)
    arguments = parser.parse_args()
    if not TAPE.exists():
        record_tape()
    value = {"reason": arguments.reason, **results(recorded_tape())}
    EXPECTED.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
