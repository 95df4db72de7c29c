"""The one walk-forward: like its twin, never trained on what was not final, deaf to the future."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.errors import DataError
from liqbt.learn.logit import signed_design, two_class_design
from liqbt.learn.models import calibrate_landmarks
from liqbt.learn.walk import ModelOptions, predict_classes, training_set, walk_forward
from liqbt.types import DAY_NS

SEED = st.integers(0, 2**32 - 1)
SHAPE = {
    "seed": SEED,
    "n": st.integers(0, 60),
    "refit": st.integers(1, 40),
    "embargo": st.integers(0, 30),
}


def rows(rng, n):
    """Issues with ties and gaps, in any order, outcomes that take their time, some of them none."""
    at = rng.integers(0, 150, n)
    return {
        "at": at,
        "matured_ns": at + rng.integers(1, 50, n),
        "known": rng.random(n) < 0.8,
    }


@given(**SHAPE, unit=st.sampled_from((1, 11 * DAY_NS)))
def test_it_splits_like_the_twin_and_no_split_trains_on_what_was_not_final(
    seed, n, refit, embargo, unit
):
    table = rows(np.random.default_rng(seed), n)  # of an instant, or of four years and a half
    refit, embargo = refit * unit, embargo * unit
    table |= {name: table[name] * unit for name in ("at", "matured_ns")}
    order = training_set(**table)
    matured_ns, at = table["matured_ns"][order], table["at"]
    assert sorted(order) == np.flatnonzero(table["known"]).tolist()
    expected = naive.walk_forward(matured_ns.tolist(), at.tolist(), refit, embargo)
    found, last = {}, -1
    for split in walk_forward(matured_ns, at, refit_ns=refit, embargo_ns=embargo):
        trained = order[split.training]
        issued = at[split.scored]
        assert (table["matured_ns"][trained] + embargo <= split.fitted_ns).all()
        assert last < split.fitted_ns <= issued.min()
        assert not set(trained) & set(split.scored)
        last = split.fitted_ns
        found |= dict.fromkeys(split.scored.tolist(), (split.fitted_ns, split.n_trained))
    assert found == expected


def test_refits_are_weekly_in_the_first_year_and_then_a_part_of_the_record():
    def fits(weeks):
        at = 7 * DAY_NS * np.arange(weeks)
        return [split.fitted_ns // (7 * DAY_NS) for split in walk_forward(at[:0], at, refit_ns=1)]

    assert fits(55) == list(range(55))
    assert fits(520)[55:60] == [57, 60, 63, 66, 69]  # a 27th of 57 weeks is more than two
    ten, twenty = (sum(fits(520 * i)) for i in (1, 2))  # what all fits of so long a record cost
    assert 1.8 < twenty / ten < 2.3
    assert fits(520) == fits(1040)[: len(fits(520))]


def issued(table, values, options):
    """What three learners issue at each row: two multinomial logits and the tilt."""
    three = predict_classes(
        **table,
        target=np.eye(3)[values["outcome"]],
        covariates=[values["x"][:, :1], values["x"][:, 1:]],
        design=signed_design,
        offset=None,
        options=options,
    )
    two = predict_classes(
        **table,
        target=np.eye(2)[values["outcome"] % 2],
        covariates=[values["x"]],
        design=two_class_design,
        offset=np.log(values["q"][:, :2] + 0.1),
        options=options,
    )
    names = ("at", "matured_ns", "outcome", "scored", "asymmetry")
    names += ("q_up", "q_down", "q_neither", "theta", "p_up", "p_down", "p_neither")
    kinds = {"at": "<i8", "matured_ns": "<i8", "outcome": "i1", "scored": "?"}
    landmarks = np.zeros(len(table["at"]), [(name, kinds.get(name, "<f8")) for name in names])
    landmarks["at"], landmarks["matured_ns"] = table["at"], table["matured_ns"]
    landmarks["scored"], landmarks["outcome"] = table["known"], values["outcome"] - 1
    landmarks["asymmetry"] = np.tanh(values["x"][:, 0])
    landmarks["q_up"], landmarks["q_down"], landmarks["q_neither"] = values["q"].T
    theta = calibrate_landmarks(landmarks, ridge=2.0)["theta"]
    return np.column_stack([three.p, three.n_trained, two.p, two.n_trained, theta])


def drawn(rng, n):
    return {
        "outcome": rng.integers(0, 3, n),
        "x": rng.normal(size=(n, 3)),
        "q": rng.dirichlet([3, 3, 2], n),
    }


def poisoned(rng, table, values, moment):
    """Everything that was not known at `moment` replaced, in values and in what is scored."""
    n, other = len(table["at"]), drawn(rng, len(table["at"]))
    later, unripe = table["at"] > moment, table["matured_ns"] > moment
    mixed = {
        "outcome": np.where(unripe, other["outcome"], values["outcome"]),
        "x": np.where(later[:, None], 100.0 * other["x"], values["x"]),
        "q": np.where(later[:, None], other["q"], values["q"]),
    }
    known = np.where(unripe, rng.random(n) < 0.5, table["known"])
    delay = rng.integers(1, 50, n)
    matured_ns = np.where(unripe, np.maximum(table["at"] + delay, moment + 1), table["matured_ns"])
    return {**table, "known": known, "matured_ns": matured_ns}, mixed


@settings(deadline=None, max_examples=60)
@given(**SHAPE, moment=st.integers(0, 150))
def test_a_changed_future_changes_no_bit_of_what_was_issued(seed, n, refit, embargo, moment):
    rng = np.random.default_rng(seed)
    table, values = rows(rng, n), drawn(rng, n)
    options = ModelOptions(refit_ns=refit, embargo_ns=embargo, least_trained=2, ridge=1.0)
    before = issued(table, values, options)
    after = issued(*poisoned(rng, table, values, moment), options)
    known = table["at"] <= moment
    assert before[known].tobytes() == after[known].tobytes()


def test_the_poison_is_seen_where_outcomes_train_before_they_are_final():
    """The planted mistake: known as soon as issued. Every learner shows it."""
    rng, moment = np.random.default_rng(3), 75
    table, values = rows(rng, 200), drawn(rng, 200)
    options = ModelOptions(refit_ns=10, embargo_ns=0, least_trained=2, ridge=1.0)
    pair = []
    for one, mixed in ((table, values), poisoned(rng, table, values, moment)):
        early = {**one, "matured_ns": one["at"] + 1}
        pair.append(issued(early, mixed, options)[table["at"] <= moment])
    differs = (pair[0] != pair[1]).any(axis=0)
    assert differs[[0, 4, 7]].all()


def test_a_training_set_out_of_order_is_refused():
    with pytest.raises(DataError, match="not in the order in which it matured"):
        list(walk_forward(np.array([3, 2]), np.array([5])))
    with pytest.raises(DataError, match="row 1 would have matured at its own issue"):
        training_set(np.array([1, 2]), np.array([2, 2]), np.array([True, False]))
