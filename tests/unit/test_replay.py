"""The loop: what an estimator is handed, when it is asked, and how a replay goes on."""

from __future__ import annotations

import numpy as np
import pytest
from toys import START, Toy, toy_tape

from liqbt.errors import DataError
from liqbt.forecasts import forecast_bytes, forecasts_digest
from liqbt.replay import (
    Checkpoint,
    copied,
    load_checkpoint,
    replay,
    replay_from,
    save_checkpoint,
    schedule,
)
from liqbt.types import HOUR_NS, MINUTE_NS

TIMES = schedule(START, START + 50 * HOUR_NS, HOUR_NS)


def test_a_schedule_holds_multiples_only():
    assert schedule(0, 30, 10).tolist() == [0, 10, 20]
    assert schedule(1, 31, 10).tolist() == [10, 20, 30]
    assert schedule(5, 5, 10).tolist() == []
    assert schedule(9, 5, 10).tolist() == []
    year = 365 * 24 * HOUR_NS  # the last nanosecond counts, over any length
    for end in (START + year, START + year + 1):
        times = schedule(START, end, HOUR_NS)
        assert times[-1] == START + year - (HOUR_NS if end == START + year else 0)


def test_exactly_the_events_known_before_are_handed_over():
    tape = toy_tape()
    handed: list[int] = []

    class Watching(Toy):
        def update(self, events):
            handed.append(len(events))
            super().update(events)

    at = int(
        tape.events["ts_known"][10]
    )  # an event known *at* the time of issue is not known before
    [forecast] = replay(tape, Watching(), np.array([at]))
    assert sum(handed) == int((tape.events["ts_known"] < at).sum()) == 10
    assert forecast.latest_known < at


def test_a_slice_is_read_only_and_its_base_holds_nothing_else():
    tape = toy_tape()
    piece = copied(tape.events, 3, 8)
    assert not piece.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        piece["p0"] = 1.0
    assert isinstance(piece.base, bytes)
    assert len(piece.base) == 5 * 64
    assert not np.shares_memory(piece, tape.events)


@pytest.mark.parametrize("batch", [1, 7, 100, 10**9])
def test_batches_change_nothing(batch):
    tape = toy_tape()
    whole = replay(tape, Toy(), TIMES)
    parts = replay(tape, Toy(), TIMES, batch=batch)
    assert [forecast_bytes(f) for f in whole] == [forecast_bytes(f) for f in parts]


def test_a_forecast_that_claims_to_know_the_future_is_refused():
    class Liar(Toy):
        def forecast(self, at):
            self.known = at
            return super().forecast(at)

    with pytest.raises(DataError, match="claims to know an event"):
        replay(toy_tape(), Liar(), TIMES)


def test_what_is_no_forecast_is_refused():
    class Lists(Toy):
        def forecast(self, at):
            return []

    with pytest.raises(DataError, match="returned list; expected a Forecast or None"):
        replay(toy_tape(), Lists(), TIMES)


def test_a_forecast_that_dates_itself_back_is_refused():
    class Late(Toy):
        def forecast(self, at):
            return super().forecast(at - 12 * HOUR_NS)

    with pytest.raises(DataError, match="must say when it was issued"):
        replay(toy_tape(), Late(), TIMES)


@pytest.mark.parametrize("stop", [0, 1, 20, 49])
def test_a_checkpoint_goes_on_bit_for_bit(tmp_path, stop):
    tape = toy_tape()
    straight = replay(tape, Toy(), TIMES)
    first, estimator = [], Toy()
    start = Checkpoint(tape=tape.digest, position=0, issued=0, state={})
    steps = replay_from(start, tape, estimator, TIMES)
    for _ in range(stop + 1):
        position, forecast = next(steps)
        first.append(forecast)
    save_checkpoint(
        Checkpoint(tape=tape.digest, position=position, issued=len(first), state=estimator.state()),
        tmp_path / "here.npz",
    )
    again = load_checkpoint(tmp_path / "here.npz")
    rest = [f for _, f in replay_from(again, tape, Toy(), TIMES)]
    assert [forecast_bytes(f) for f in first + rest if f] == [forecast_bytes(f) for f in straight]
    assert [p.name for p in tmp_path.iterdir()] == ["here.npz"]


def test_a_checkpoint_of_another_tape_is_refused():
    other = Checkpoint(tape=toy_tape(seed=1).digest, position=0, issued=0, state={})
    with pytest.raises(DataError, match="the checkpoint is of tape"):
        list(replay_from(other, toy_tape(), Toy(), TIMES))


@pytest.mark.parametrize("content", [b"", b"PK", b"not an archive"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(DataError, match="not a readable replay checkpoint"):
        load_checkpoint(tmp_path / "bad.npz")
    with pytest.raises(DataError, match="not a readable replay checkpoint"):
        load_checkpoint(tmp_path / "none.npz")


def test_the_digest_sees_a_cent_and_not_a_last_bit():
    tape = toy_tape()
    issued = replay(tape, Toy(), TIMES[:3])
    digest = forecasts_digest(issued)
    assert forecasts_digest(replay(tape, Toy(), TIMES[:3])) == digest

    def nudged(factor: float) -> str:
        from dataclasses import replace

        first = issued[0]
        return forecasts_digest([replace(first, mark=first.mark * factor), *issued[1:]])

    assert nudged(1 + 1e-15) == digest
    assert nudged(1 + 1e-4) != digest


def test_progress_counts_scheduled_times():
    done: list[int] = []
    replay(toy_tape(), Toy(), TIMES[:4], progress=done.append)
    assert done == [1, 2, 3, 4]
    assert TIMES[1] - TIMES[0] == 60 * MINUTE_NS
