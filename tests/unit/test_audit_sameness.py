"""Sameness audits: the honest pass each, every cheater fails its own, the field is named."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import cheaters
import numpy as np
import pytest

from liqbt.audit.checkpoint import checkpoints
from liqbt.audit.chunks import chunks
from liqbt.audit.order import order
from liqbt.audit.shuffle import reversed_log, shuffled_log
from liqbt.audit.subject import Subject
from liqbt.audit.ties import tie_groups, ties
from liqbt.errors import DataError
from liqbt.estimators.config import MarketSpec
from liqbt.estimators.oi_flow import OIFlowParams
from liqbt.log.store import EventLog
from liqbt.log.tables import event_table
from liqbt.margin.tiers import flat_tiers
from liqbt.replay import schedule
from liqbt.study.traces import forecast_items
from liqbt.tape.build import build_tape
from liqbt.tape.values import Selection, Tape
from liqbt.types import EVENT_DTYPE, HOUR_NS, MINUTE_NS, Instrument, Kind

MADE_OF = (OIFlowParams(), MarketSpec(symbol="TOY", tiers=flat_tiers("TOY", 0.004, 125)))
TOY = Instrument("toy", "TOY")
START = 1_735_689_600 * 10**9


def tables(n: int = 1200) -> dict[Kind, Any]:
    """Marks and open interest every five minutes; three liquidations at once every hour."""
    rng = np.random.default_rng(5)
    at = START + np.arange(1, n + 1) * 5 * MINUTE_NS
    price = 50_000 * np.exp(np.cumsum(rng.normal(0, 0.001, n)))
    where = {"venue": "toy", "symbol": "TOY"}
    flat = dict.fromkeys(("open", "high", "low", "close"), price)
    interest = 90_000 * np.exp(np.cumsum(rng.normal(0, 0.002, n)))
    often = np.repeat(at[::12], 3)
    return {
        Kind.MARK: event_table(
            Kind.MARK, {"ts_event": at, "ts_known": at + MINUTE_NS, **where, **flat}
        ),
        Kind.OPEN_INTEREST: event_table(
            Kind.OPEN_INTEREST,
            {
                "ts_event": at,
                "ts_known": at + MINUTE_NS,
                **where,
                "open_interest_coins": interest,
                "open_interest_usd": interest * price,
            },
        ),
        Kind.LIQUIDATION: event_table(
            Kind.LIQUIDATION,
            {
                "ts_event": often,
                "ts_known": often + MINUTE_NS,
                **where,
                "side": np.ones(len(often), np.int8),
                "price": np.repeat(price[::12], 3),
                "size_coins": np.round(rng.exponential(2.0, len(often)), 3),
            },
        ),
    }


SELECTION = Selection(kinds=dict.fromkeys(tables(12), (TOY,)))


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> EventLog:
    made = EventLog.create(tmp_path_factory.mktemp("logs") / "log")
    made.append(tables().items(), {"file": "toy"})
    return made


def subject(log: EventLog, estimator: Any) -> Subject:
    tape = build_tape(log, SELECTION)
    known = tape.events["ts_known"]
    return Subject(
        symbol="TOY",
        tape=tape,
        times=schedule(int(known[0]), int(known[-1]) + 1, HOUR_NS),
        make=partial(estimator, *MADE_OF),
        derive=lambda forecasts, _tape: forecast_items("TOY", forecasts),
    )


def in_chunks(log: EventLog, estimator: Any, _folder: Path) -> Any:
    return chunks(subject(log, estimator), rng=np.random.default_rng(1))


def in_order(log: EventLog, estimator: Any, folder: Path) -> Any:
    def shuffled() -> Any:
        other = shuffled_log(log, folder / "shuffled", np.random.default_rng(1))
        yield "rows shuffled", build_tape(other, SELECTION)

    return order(subject(log, estimator), shuffled(), trials=1)


def in_ties(log: EventLog, estimator: Any, folder: Path) -> Any:
    def rebuilt() -> Tape:
        return build_tape(reversed_log(log, folder / "reversed"), SELECTION)

    return ties(subject(log, estimator), rebuilt=rebuilt, rng=np.random.default_rng(1))


def in_checkpoints(log: EventLog, estimator: Any, folder: Path) -> Any:
    return checkpoints(subject(log, estimator), folder, rng=np.random.default_rng(1))


AUDITS = {"chunks": in_chunks, "order": in_order, "ties": in_ties, "checkpoint": in_checkpoints}
CAUGHT = {
    "Honest": {},
    "CountsQuestions": {"chunks": "asymmetry"},
    "CountsUpdates": {"chunks": "asymmetry", "checkpoint": "asymmetry"},
    "HiddenState": {"checkpoint": "asymmetry"},
    "AliasedState": {"checkpoint": "count"},
    "KeptState": {"checkpoint": "count"},
    "NoRestore": {"checkpoint": "raised KeyError: 'position'"},
    "StateTouches": {"checkpoint": "asymmetry"},
    "ReadsLoadOrder": {"order": "asymmetry"},
    "LastOfTheInstant": {},
    "Dice": {"chunks": "asymmetry", "order": "asymmetry", "checkpoint": "asymmetry"},
}
"""Which audits each estimator fails, and the field that is named; all others it passes."""


@pytest.mark.parametrize("audit", AUDITS)
@pytest.mark.parametrize("name", CAUGHT)
def test_every_cheater_fails_exactly_its_audits(log, tmp_path, audit, name):
    found = AUDITS[audit](log, getattr(cheaters, name), tmp_path)
    assert found.audit == audit
    assert found.passed == (audit not in CAUGHT[name])
    if found.passed:
        assert found.first is None
        assert found.compared > 60
    else:
        assert found.first.field == CAUGHT[name][audit]
        assert found.first.at > START


def test_what_follows_the_order_of_ties_is_reported_and_counted(log, tmp_path):
    found = in_ties(log, cheaters.LastOfTheInstant, tmp_path)
    assert found.passed
    assert found.reported.field == "asymmetry"
    assert found.counts["groups"] == found.counts["differing_groups"] == 100
    assert found.counts["events"] == 300
    # three records, any order: the last one stays the last one time in three
    assert 0.5 < found.counts["changed asymmetry"] / found.compared < 0.8


def test_the_reference_sums_evidence_in_the_order_it_comes(log, tmp_path):
    found = in_ties(log, cheaters.Honest, tmp_path)
    fields = {k for k in found.counts if k.startswith("changed ")}
    assert fields == {"changed observed_long_usd"}  # a last bit: no cluster follows from it


def test_an_order_of_ties_that_is_not_total_fails(log):
    mine = subject(log, cheaters.Honest)

    def by_load_order() -> Tape:
        """A tape whose ties stand as they were loaded."""
        events = mine.tape.events.copy()
        rows = np.flatnonzero(events["kind"] == Kind.LIQUIDATION)[:3]
        events[rows] = events[rows[::-1]]
        return Tape(events=events, instruments=mine.tape.instruments, digest="other")

    found = ties(mine, rebuilt=by_load_order, rng=np.random.default_rng(0))
    assert not found.passed
    assert found.first.what.startswith("tape TOY, record ")
    assert found.first.field == "p1"


def test_records_that_the_venue_numbers_are_left_alone(log):
    tape = subject(log, cheaters.LastOfTheInstant)
    found = ties(tape, numbered=frozenset({(Kind.LIQUIDATION, 0)}), rng=np.random.default_rng(0))
    assert found.counts["groups"] == 0
    assert found.counts["numbered"] == 300
    assert found.reported is None


def test_ties_are_found_by_instant_and_kind():
    events = np.zeros(7, EVENT_DTYPE)
    events["ts_known"] = [1, 1, 1, 2, 2, 3, 3]
    events["kind"] = [1, 1, 3, 1, 1, 1, 1]
    events["p0"] = [5, 6, 5, 7, 7, 8, 9]
    found = tie_groups(events, np.zeros(7, bool))
    assert found.rows.tolist() == [0, 1, 3, 4, 5, 6]
    assert (found.groups, found.differing) == (3, 2)
    last = tie_groups(events, np.array([0, 0, 0, 0, 0, 1, 0], bool))
    assert last.rows.tolist() == [0, 1, 3, 4]
    assert tie_groups(events[:0], np.zeros(0, bool)).groups == 0


def test_a_tape_that_lost_a_record_fails_the_order(log):
    mine = subject(log, cheaters.Honest)
    shorter = Tape(events=mine.tape.events[:-1], instruments=(TOY,), digest="shorter")
    found = order(mine, [("lost", shorter)], trials=1)
    assert (found.passed, found.first.field) == (False, "number of records")


@pytest.mark.parametrize("audit", ["chunks", "order", "checkpoint"])
def test_nothing_issued_is_no_pass(log, tmp_path, audit):
    class Silent(cheaters.Honest):
        def forecast(self, at):
            return None

    with pytest.raises(DataError, match="nothing to audit"):
        AUDITS[audit](log, Silent, tmp_path)
