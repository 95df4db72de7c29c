"""Forward: what is written down by the day is what a replay issues, and cannot be altered later."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from shell import call

import liqbt
from liqbt.config.fields import instant_ns
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.monitoring import BET_DTYPE, STAKES, bets, log_capital, monitored
from liqbt.forecasts import forecast_bytes
from liqbt.log.disk import read_parquet
from liqbt.log.store import EventLog
from liqbt.registry.forward import read_forward
from liqbt.report.notes import registration_sentences
from liqbt.report.sections.checks import _e_process
from liqbt.simulate.market import simulate
from liqbt.simulate.world import World
from liqbt.study import forward
from liqbt.study.run import run_experiment
from liqbt.study.store import Run, forecasts_of
from liqbt.study.unseal import register_experiment
from liqbt.types import DAY_NS, SECOND_NS, Kind

DAYS = 14
START = instant_ns("2025-01-01")
NOW = instant_ns("2026-02-01")


def midnight(day: int) -> int:
    """Just after a midnight: its price is known by then."""
    return START + day * DAY_NS + 2 * SECOND_NS


EXPERIMENT = """
name: small
data: {log: log}
symbols:
  SIM:
    events:
      mark: simulated/SIM
      open_interest: simulated/SIM
      liquidation: simulated/SIM
    margin: {tiers: BTCUSDT}
schedule: {warm_up: 3d, every: 6h}
evaluation: {bootstrap_reps: 200, horizons: [24h]}
estimators:
  reference: {use: oi_flow}
  uniform: {use: uniform}
seed: 3
"""


@pytest.fixture(scope="module")
def tables():
    world = World(name="small", days=DAYS, warmup_days=3)
    return dict(simulate(world, seed=3).tables)


def extend(log: EventLog, tables, begin: int, end: int, without: tuple[Kind, ...] = ()) -> None:
    """Append what became known in a period, as a recorder would."""
    part = {}
    for kind, table in tables.items():
        known = table["ts_known"]
        rows = table.filter(pc.and_(pc.greater_equal(known, begin), pc.less(known, end)))
        if len(rows) and kind not in without:
            part[kind] = rows
    source = {"file": f"{begin}", "file_sha256": f"{begin}", "map_sha256": "-", "reader": "test"}
    log.append(part.items(), source)


def home(folder: Path, tables, end: int, text: str = EXPERIMENT, **how) -> Path:
    """A folder with a log up to a time, an experiment of it, and its registration."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small.yaml"
    path.write_text(text)
    extend(EventLog.open_or_create(folder / "log"), tables, 0, end, **how)
    register_experiment(path, folder / "results", on=date(2026, 1, 1))
    return path


def begun(path: Path):
    return forward.begin(path, path.parent / "results", now=NOW, start=START)


def stepped(path: Path, until: int | None = None, **how):
    return forward.step(path, path.parent / "results", now=NOW, until=until, **how)


def chain_file(path: Path) -> Path:
    return path.parent / "results/forward/small/chain.jsonl"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tables):
    """Everything at once: one step over a log that was there."""
    path = home(tmp_path_factory.mktemp("whole"), tables, midnight(DAYS))
    begun(path)
    assert len(stepped(path).new) == DAYS
    return path


@pytest.fixture(scope="module")
def replayed(whole):
    """The ordinary run over the same log."""
    return run_experiment(whole, whole.parent / "results")


def report(path: Path, tables: list) -> Run:
    """The scored record, and what its bets were."""

    def kept(evidence):
        tables.append(bets(evidence))
        return tables[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forward, "bets", kept)
        return forward.report(path, path.parent / "results")


@pytest.fixture(scope="module")
def all_bets():
    return []


@pytest.fixture(scope="module")
def scored(whole, all_bets):
    return report(whole, all_bets)


def test_a_market_stepped_by_the_day_is_the_replayed_run_bit_for_bit(
    whole, replayed, scored, tables, tmp_path
):
    """Each day its events are appended and its step is taken; the last day tells all."""
    path = home(tmp_path, tables, midnight(1))
    begun(path)
    log = EventLog.open(tmp_path / "log")
    for day in range(1, DAYS + 1):
        if day > 1:
            extend(log, tables, midnight(day - 1), midnight(day))
        assert len(stepped(path).new) == 1
    own, theirs = (read_forward(chain_file(p).parent) for p in (path, whole))
    assert [link.issued for link in own.links] == [link.issued for link in theirs.links]
    assert [link.events for link in own.links] == [link.events for link in theirs.links]
    for name in ("reference", "uniform"):
        issued = [
            forecast
            for link in own.links
            for forecast in forecasts_of(read_parquet(own.day_folder(link) / name / "SIM.parquet"))
        ]
        as_run = replayed.forecasts("SIM", name)
        assert [forecast_bytes(f) for f in issued] == [forecast_bytes(f) for f in as_run]
    run = forward.report(path, tmp_path / "results")
    assert run.manifest["registration"]["deviations"] == ["tape"]
    (said, _) = registration_sentences(run)
    assert "recorded forward from 2025-01-01T00:00:00Z: its events go on" in said
    for other in (replayed, scored):
        assert (run.path / "metrics.json").read_bytes() == (
            other.path / "metrics.json"
        ).read_bytes()
        assert run.manifest["forecasts"] == other.manifest["forecasts"]
        assert run.verdicts == other.verdicts
    assert len(run.scores) > 20


def test_history_before_the_record_is_learnt_from_and_not_scored(whole, replayed, tmp_path, tables):
    path = home(tmp_path, tables, midnight(DAYS))
    late = START + 8 * DAY_NS
    forward.begin(path, tmp_path / "results", now=NOW, start=late)
    new = stepped(path).new
    assert [link.until_ns for link in new] == [late + d * DAY_NS for d in range(1, DAYS - 7)]
    links = read_forward(chain_file(whole).parent).links[8:]
    assert [n.issued["reference/SIM"]["digest"] for n in new] == [
        link.issued["reference/SIM"]["digest"] for link in links
    ]
    run = forward.report(path, tmp_path / "results")
    assert run.outcomes().to_pandas()["at"].min() > late
    assert run.manifest["forecasts"] == replayed.manifest["forecasts"]


def test_what_has_ended_half_way_is_as_it_will_be(scored, all_bets, tmp_path, tables):
    """Windows that go on score nothing, and neither p̂ nor outcomes of the others change."""
    path = home(tmp_path, tables, midnight(9))
    begun(path)
    stepped(path)
    half: list = []
    run = report(path, half)
    row, last = (one.manifest["forward"]["rows"][1] for one in (run, scored))
    assert (row["ended"], row["issued"], last["issued"]) == (5, 6, 11)
    for early, late in zip(half, all_bets, strict=True):
        ended = early[early["watched"]]
        assert (ended["at"] + DAY_NS <= midnight(9)).all()
        np.testing.assert_array_equal(ended, late[np.isin(late["at"], ended["at"])])
        assert ((ended["placebo"] > 0) & (ended["placebo"] < 1)).all()
    assert len(half[0]) == 6


def test_what_is_late_is_a_rehearsal(scored, tmp_path, tables):
    assert scored.manifest["forward"]["in_time"] == 0
    told = forward.describe_monitored(scored.manifest["forward"])
    assert "the other 14 are a rehearsal" in told
    path = home(tmp_path, tables, midnight(9))
    results = tmp_path / "results"
    forward.begin(path, results, now=START, start=START)
    for day in range(1, 10):
        until = START + day * DAY_NS
        forward.step(path, results, now=until + (DAY_NS if day == 5 else 0), until=until)
    rows = forward.report(path, results).manifest["forward"]
    assert rows["in_time"] == 8
    timely, everything = rows["rows"][:2]
    assert everything["issued"] - timely["issued"] == 1


def edited(path: Path, line: int, old: str, new: str) -> None:
    lines = chain_file(path).read_text().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    chain_file(path).write_text("".join(lines))


@pytest.fixture
def short(tmp_path, tables):
    path = home(tmp_path, tables, midnight(4))
    begun(path)
    stepped(path, START + 3 * DAY_NS)
    return path


def test_a_link_that_was_edited_is_named(short, monkeypatch, capsys):
    known = chain_file(short).read_bytes()

    def refused() -> str:
        code, out, err = call(
            monkeypatch, capsys, "forward", "step", short, "--results", short.parent / "results"
        )
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        return err

    edited(short, 3, '"n":', '"n":1')
    assert "chain.jsonl: line 3 is not as it was written" in refused()
    lines = known.splitlines(keepends=True)
    chain_file(short).write_bytes(b"".join(lines[:2] + lines[3:]))
    assert "line 3 is not as it was written" in refused()
    row = json.loads(lines[2])  # with a digest of its own made anew: the next line tells
    row = {**row, "written": "2025-01-02T00:00:00Z"}
    row["digest"] = forward.run_identity(
        {k: v for k, v in row.items() if k not in ("digest", "before")}
    )
    forged = json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    chain_file(short).write_bytes(b"".join([*lines[:2], forged, *lines[3:]]))
    assert "line 4 is not as it was written" in refused()
    chain_file(short).write_bytes(known)
    file = short.parent / "results/forward/small/days/2025-01-03/reference/SIM.parquet"
    bytes_ = file.read_bytes()
    file.write_bytes(bytes_[:-1])
    assert "2025-01-03/reference/SIM.parquet: is not as line 3 of" in refused()
    file.write_bytes(bytes_)
    assert len(stepped(short).new) == 1


def test_a_past_that_changed_is_refused(short, tables):
    late = tables[Kind.OPEN_INTEREST].slice(5, 1)
    moved = late.set_column(
        late.schema.get_field_index("ts_known"),
        late.schema.field("ts_known"),
        pc.add(late["ts_known"], 7),
    ).set_column(
        late.schema.get_field_index("ts_event"),
        late.schema.field("ts_event"),
        pc.add(late["ts_event"], 7),
    )
    source = {"file": "late", "file_sha256": "late", "map_sha256": "-", "reader": "test"}
    EventLog.open(short.parent / "log").append([(Kind.OPEN_INTEREST, moved)], source)
    with pytest.raises(DataError, match=r"ends at 2025-01-02T00:00:00Z was issued on"):
        stepped(short)


@pytest.mark.parametrize("place", ["append", "save_checkpoint", "_forget"])
def test_a_step_that_was_killed_is_repeated(short, whole, monkeypatch, place):
    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forward, place, killed)
        with pytest.raises(KeyboardInterrupt):
            stepped(short)
    assert len(stepped(short).new) == (0 if place == "_forget" else 1)
    lines = chain_file(whole).read_bytes().splitlines()
    issued = [json.loads(line)["issued"] for line in lines[1:5]]
    mine = chain_file(short).read_bytes().splitlines()
    assert [json.loads(line)["issued"] for line in mine[1:]] == issued
    assert not list(short.parent.rglob("*.tmp"))


def test_a_state_that_is_lost_or_altered_is_made_again(short, whole):
    (state,) = (short.parent / "results/forward/small/days").glob("2025-01-04/reference/*.npz")
    state.write_bytes(state.read_bytes()[::-1])
    (new,) = stepped(short).new
    known = json.loads(chain_file(whole).read_bytes().splitlines()[4])
    assert dict(new.issued) == known["issued"]


def test_a_feed_that_died_stops_it(tmp_path, tables, monkeypatch, capsys):
    path = home(tmp_path, tables, midnight(4))
    begun(path)
    stepped(path)
    extend(
        EventLog.open(tmp_path / "log"), tables, midnight(4), START + 6 * DAY_NS,
        without=(Kind.OPEN_INTEREST,),
    )  # fmt: skip
    ask = ("forward", "step", path, "--until", "2025-01-07", "--results", tmp_path / "results")
    code, _, err = call(monkeypatch, capsys, *ask)
    assert code == 2
    assert "open interest simulated/SIM of SIM has been silent since 2025-01-0" in err
    assert "--despite" in err
    assert len(read_forward(chain_file(path).parent).links) == 4
    code, out, _ = call(monkeypatch, capsys, *ask, "--despite", "the venue  was down")
    assert code == 0
    assert "although open interest simulated/SIM" in out
    link = read_forward(chain_file(path).parent).links[-1]
    assert link.despite["reason"] == "the venue was down"
    assert link.issued["reference/SIM"]["n"] == 4


def test_only_what_was_registered_is_recorded(short, tmp_path, tables):
    with pytest.raises(ConfigError, match="there is a forward record of small"):
        begun(short)
    short.write_text(EXPERIMENT.replace("warm_up: 3d", "warm_up: 4d"))
    with pytest.raises(ConfigError, match=r"differs from registration .* in configuration"):
        stepped(short)
    for old, new, said in (
        ("every: 6h", "every: 7h", "expected a divisor of 24h"),
        ("horizons: [24h]", "horizons: [4h]", "lacks 24h"),
        ("seed: 3", "seed: 4", "in configuration"),
    ):
        short.write_text(EXPERIMENT.replace(old, new))
        with pytest.raises(ConfigError, match=said):
            begun(short)
    fresh = tmp_path / "fresh.yaml"
    fresh.write_text(EXPERIMENT.replace("name: small", "name: fresh"))
    for ask in (liqbt.forward_init, liqbt.forward_step, liqbt.forward_report):
        with pytest.raises(liqbt.LiqbtError, match=r"not registered|no forward record"):
            ask(fresh, tmp_path / "results")


def test_the_report_shows_the_record(scored, replayed):
    told = scored.manifest["forward"]
    shown = repr(_e_process(scored))
    assert told["head"] in shown
    assert "0 of them before the window of their midnight was over" in shown
    assert f"{told['rows'][1]['precision']:.1%}" in shown
    assert "No e-process" in repr(_e_process(replayed))


def naive_capital(gains: list[float]) -> float:
    """Nine players, one after the other."""
    total = 0.0
    for k in range(1, 10):
        capital = 1 / 9
        for gain in gains:
            capital *= 1 + k / 10 * gain
        total += capital
    return total


def test_capital_is_what_nine_players_hold():
    rng = np.random.default_rng(1)
    rows = np.zeros(40, BET_DTYPE)
    rows["at"] = np.repeat(np.arange(20), 2) * DAY_NS
    rows["symbol"] = np.tile([0, 1], 20)
    rows["visited"], rows["watched"] = rng.random(40) < 0.5, np.arange(40) < 37
    rows["placebo"] = rng.uniform(0.1, 0.9, 40)
    found = monitored(rows)
    gains = [
        float(np.mean([r["visited"] - r["placebo"] for r in rows[2 * d : min(2 * d + 2, 37)]]))
        for d in range(19)
    ]
    assert (found.issued, found.ended) == (40, 37)
    assert math.exp(found.log_e) == pytest.approx(naive_capital(gains), rel=1e-12)
    best = max(naive_capital(gains[:n]) for n in range(20))
    assert math.exp(found.log_e_max) == pytest.approx(best, rel=1e-12)
    assert found.precision == rows["visited"][:37].mean()
    assert found.placebo == rows["placebo"][:37].mean()
    assert len(STAKES) == 9
    with pytest.raises(DataError, match="gain"):
        log_capital(np.array([math.nan]))


def test_without_information_it_seldom_grows_and_with_it_does():
    """Ville: at most one path in twenty ever reaches 20, whenever one looks."""
    rng = np.random.default_rng(2)
    p = rng.uniform(0.05, 0.6, (2000, 250))
    null = np.array([log_capital(g).max() for g in (rng.random(p.shape) < p) - p])
    assert (null >= math.log(20)).mean() < 0.05
    told = np.array([log_capital(g)[-1] for g in (rng.random(p.shape) < p + 0.15) - p])
    assert (told >= math.log(20)).mean() > 0.8
