"""The direction claim's models: the fit, the walk, the ablation, and who trains on what."""

from __future__ import annotations

import numpy as np
import pytest
from direction_world import landmarks
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.covariates import COVARIATES
from liqbt.learn.logit import class_probabilities, fit_multinomial, signed_design
from liqbt.learn.models import predict_landmarks
from liqbt.learn.walk import ModelOptions, predict_classes

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
OPTIONS = ModelOptions()


def block_design(x):
    """The usual multinomial logit: a coefficient of each covariate for up and for down."""
    n, k = x.shape
    z = np.zeros((n, 3, 2 * k))
    z[:, 0, :k], z[:, 1, k:] = x, x
    return z


def test_without_a_prior_it_is_statsmodels_multinomial_logit():
    from statsmodels.discrete.discrete_model import MNLogit

    rng = np.random.default_rng(5)
    x = np.column_stack([np.ones(400), rng.normal(size=(400, 3))])
    beta = rng.normal(0.0, 0.7, 8)
    z, offset = block_design(x), np.zeros((400, 3))
    p = class_probabilities(z, offset, beta)
    drawn = (rng.random((400, 1)) > p.cumsum(axis=1)).sum(axis=1)
    target = np.eye(3)[drawn]
    found = fit_multinomial(z, target, offset, np.full(8, 1e-10))
    order = np.select([drawn == 0, drawn == 1], [1, 2], 0)  # neither is the reference
    oracle = MNLogit(order, x).fit(disp=0, method="newton", tol=1e-12)
    np.testing.assert_allclose(found.reshape(2, 4).T, oracle.params, atol=1e-6)
    ours = class_probabilities(z, offset, found)[:, [2, 0, 1]]
    np.testing.assert_allclose(ours, oracle.predict(), atol=1e-8)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 40), bold=st.floats(0.1, 20.0))
@settings(deadline=None)
def test_the_fit_is_where_the_penalised_likelihood_is_flat(seed, n, bold):
    rng = np.random.default_rng(seed)
    z = signed_design(bold * rng.normal(size=(n, 2)), bold * rng.normal(size=(n, 3)))
    offset = np.log(rng.dirichlet([1, 1, 1], n)) if n else np.zeros((0, 3))
    target = rng.dirichlet([0.3, 0.3, 0.3], n) if n else np.zeros((0, 3))
    precision = rng.uniform(0.2, 5.0, 5)
    beta = fit_multinomial(z, target, offset, precision, 3.0 * rng.normal(size=5))
    slope = -precision * beta
    for i in range(n):  # by hand: Σ (y − p) z
        eta = [offset[i, c] + sum(z[i, c, j] * beta[j] for j in range(5)) for c in range(3)]
        weight = [np.exp(e - max(eta)) for e in eta]
        for c in range(3):
            slope += (target[i, c] - weight[c] / sum(weight)) * z[i, c]
    assert np.abs(slope).max() < 1e-4 * max(1.0, bold * n)


def gain(rows, models):
    use = rows["scored"] & (models["full"].n_trained > 0) & ~rows["tie"]
    column = np.select([rows["outcome"] > 0, rows["outcome"] < 0], [0, 1], 2)[:, None]
    logs = np.log(models["full"].p) - np.log(models["ablated"].p)
    return float(np.take_along_axis(logs, column, axis=1)[use, 0].mean())


def test_the_asymmetry_is_found_where_it_acts_and_costs_little_where_not():
    strong = landmarks(np.random.default_rng(1), n=1200, strength=1.0)
    none = landmarks(np.random.default_rng(2), n=1200)
    assert gain(strong, predict_landmarks(strong, OPTIONS).first_side) > 0.05
    assert -0.005 < gain(none, predict_landmarks(none, OPTIONS).first_side) < 0.002


def issued(found, chosen):
    """Every bit that is issued at some landmarks."""
    models = [*found.first_side.values(), *found.cascade.values(), *found.large_move.values()]
    return b"".join(one.tilt[chosen].tobytes() for one in models) + b"".join(
        one.p[chosen].tobytes() for one in (*found.cascade.values(), *found.large_move.values())
    )


def poisoned(rows, rng, moment):
    """Everything that was not known at `moment`, replaced: covariates, outcomes, what is scored."""
    garbage = landmarks(rng, n=len(rows), strength=-2.0)
    out, unripe, later = rows.copy(), rows["matured_ns"] > moment, rows["at"] > moment
    for name in ("outcome", "tie", "cascade", "large_move", "cascade_known", "scored"):
        out[name][unripe] = garbage[name][unripe]
    for name in (*COVARIATES, "q_up", "q_down", "q_neither"):
        out[name][later] = (
            5.0 * garbage[name][later] if name in COVARIATES else garbage[name][later]
        )
    return out


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), day=st.integers(20, 99))
def test_poison_what_has_not_matured_changes_no_bit_of_what_was_issued(seed, day):
    rng = np.random.default_rng(seed)
    rows, moment = landmarks(rng, n=200, strength=1.0), day * DAY + 3 * HOUR
    known = rows["at"] <= moment
    before = predict_landmarks(rows, OPTIONS)
    after = predict_landmarks(poisoned(rows, rng, moment), OPTIONS)
    fewer = predict_landmarks(rows[known], OPTIONS)
    assert issued(before, known) == issued(after, known)
    assert issued(before, known) == issued(fewer, known[known])


def test_the_poison_test_catches_who_trains_on_what_has_not_matured():
    rng = np.random.default_rng(3)
    rows, moment = landmarks(rng, n=200, strength=1.0), 70 * DAY + 3 * HOUR
    known = rows["at"] <= moment
    wrong = []
    for given_ in (rows, poisoned(rows, rng, moment)):
        cheat = given_.copy()
        cheat["matured_ns"] = cheat["at"] + 1  # the planted mistake: known as soon as issued
        wrong.append(issued(predict_landmarks(cheat, ModelOptions(embargo_ns=0)), known))
    assert wrong[0] != wrong[1]


def test_a_refit_waits_for_the_embargo():
    """Refits are on multiples of a week; an outcome final an hour before one trains it."""
    at = np.array([0, 7 * DAY])
    target, odd = np.eye(3)[[0, 0]], np.zeros((2, 0))
    for wait, n in ((HOUR, 1), (HOUR - 1, 0)):
        many = np.repeat(at, [2, 1])
        found = predict_classes(
            at=many,
            matured_ns=np.array([7 * DAY - wait, 7 * DAY - wait, 9 * DAY]),
            target=target[[0, 0, 1]],
            known=np.ones(3, bool),
            covariates=[odd[[0, 0, 1]], odd[[0, 0, 1]]],
            design=signed_design,
            offset=None,
            options=ModelOptions(least_trained=2),
        )
        assert found.n_trained.tolist() == [0, 0, 2 * n]
        assert (found.p[2, 0] > 0.5) == bool(n)
    np.testing.assert_allclose(found.p, 1 / 3)


def test_a_reflected_market_swaps_the_sides_and_nothing_else():
    rows = landmarks(np.random.default_rng(8), strength=0.5)
    rows["funding"][:100] = np.nan
    mirror = rows.copy()
    for name in ("asymmetry", "trend_1d", "trend_3d", "funding"):
        mirror[name] = -rows[name]
    for a, b in (("up_sigma", "down_sigma"), ("q_up", "q_down")):
        mirror[a], mirror[b] = rows[b], rows[a]
    for name in ("outcome", "cascade", "large_move"):
        mirror[name] = -rows[name]
    found, other = predict_landmarks(rows, OPTIONS), predict_landmarks(mirror, OPTIONS)
    for group in ("first_side", "cascade", "large_move"):
        for name, one in getattr(found, group).items():
            twin = getattr(other, group)[name]
            np.testing.assert_allclose(one.p[:, [1, 0, 2]], twin.p, rtol=1e-6, equal_nan=True)


def test_the_ablated_models_know_everything_but_what_is_tested():
    rows = landmarks(np.random.default_rng(9), strength=1.0)
    base = predict_landmarks(rows, OPTIONS)
    for name in COVARIATES:
        moved = rows.copy()
        moved[name] = np.random.default_rng(1).permutation(moved[name])
        other = predict_landmarks(moved, OPTIONS)

        def same(group, model, other=other):
            one, two = getattr(base, group)[model], getattr(other, group)[model]
            return np.array_equal(one.tilt, two.tilt)

        assert not same("first_side", "full")
        assert not same("cascade", "full")
        assert same("first_side", "ablated") == (name == "asymmetry")
        assert same("cascade", "ablated") == (name in {"asymmetry", "up_sigma", "down_sigma"})


def test_a_covariate_that_is_not_fed_changes_nothing():
    rows = landmarks(np.random.default_rng(4), strength=1.0)
    rows["funding"] = np.nan
    found = predict_landmarks(rows, OPTIONS)
    zero = rows.copy()
    zero["funding"] = 0.0
    assert issued(found, slice(None)) == issued(predict_landmarks(zero, OPTIONS), slice(None))


def test_what_cannot_be_right_is_refused():
    with pytest.raises(ConfigError, match="learn: found ridge 0"):
        ModelOptions(ridge=0.0)
    with pytest.raises(ConfigError, match="embargo_ns -1"):
        ModelOptions(embargo_ns=-1)
    rows = landmarks(np.random.default_rng(0), n=20)
    rows["matured_ns"] = rows["at"]
    with pytest.raises(DataError, match="row 0 would have matured at its own issue"):
        predict_landmarks(rows, OPTIONS)
