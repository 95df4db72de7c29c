"""`liqbt log leaks`: a stamp that lies is found with its lag, an honest one is not."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from liqbt.cli import cli
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.quality.measure import log_leaks
from liqbt.types import Kind

S = 10**9
STEP = 600 * S
T0 = 1_704_067_200 * S
HOURS = 1500


def log_of(folder, early_ns):
    """Marks every ten minutes, and hourly means of open interest stamped `early_ns` too early."""
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 1e-3, HOURS * 6)
    price = 42_000 * np.exp(np.cumsum(returns))
    coins = 80_000 * np.exp(np.cumsum(0.3 * returns + rng.normal(0, 3e-4, len(returns))))
    at = T0 + np.arange(len(price)) * STEP
    mean = coins.reshape(-1, 6).mean(axis=1)
    ends = T0 + np.arange(HOURS) * 6 * STEP + 5 * STEP
    common = {"venue": "v", "symbol": "BTCUSDT"}
    point = dict.fromkeys(("open", "high", "low", "close"), price)
    mark = {"ts_event": at, "ts_known": at + 60 * S, **common, **point}
    stamp = ends - early_ns
    held = {
        "ts_event": stamp,
        "ts_known": stamp + 60 * S,
        **common,
        "open_interest_coins": mean,
        "open_interest_usd": np.full(HOURS, np.nan),
    }
    log = EventLog.create(folder / "log")
    log.append([(Kind.MARK, event_table(Kind.MARK, mark))], {})
    log.append([(Kind.OPEN_INTEREST, event_table(Kind.OPEN_INTEREST, held))], {})
    return log.path


@pytest.mark.parametrize("steps_early", [0, 3, 5])
def test_an_hourly_mean_that_is_stamped_early(tmp_path, steps_early):
    path = log_of(tmp_path, steps_early * STEP)
    found = {one.feed: one for one in log_leaks(path)}
    interest = found["open interest v/BTCUSDT"]
    assert interest.leaks == (steps_early > 0)
    assert interest.lag_s == steps_early * STEP / S
    assert "no other price" in found["mark v/BTCUSDT"].why_not
    done = CliRunner().invoke(cli, ["log", "leaks", str(path)])
    assert done.exit_code == int(steps_early > 0)
    said = (
        f"LEAKS: answers returns up to {10 * steps_early} min after" if steps_early else "no leak"
    )
    assert said in done.output
