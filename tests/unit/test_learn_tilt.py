"""The tilt: it learns from matured outcomes and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from liqbt.errors import ConfigError, DataError
from liqbt.learn.logit import fit_tilt, tilt
from liqbt.learn.models import calibrate_landmarks

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def landmarks(rng, n=200, strength=0.0, symbols=2):
    """Landmarks a day apart, outcomes drawn with a true tilt of `strength`."""
    at = np.repeat(np.arange(n // symbols), symbols) * DAY
    q = rng.dirichlet([3, 3, 2], n)
    asymmetry = rng.uniform(-1, 1, n)
    p = tilt(q, asymmetry, strength)
    draw = rng.random(n)
    outcome = np.where(draw < p[:, 0], 1, np.where(draw < p[:, 0] + p[:, 1], -1, 0)).astype(np.int8)
    scored = rng.random(n) < 0.9
    return {
        "at": at,
        "matured_ns": at + DAY + 60_000_000_000,
        "outcome": outcome,
        "scored": scored,
        "q": q,
        "asymmetry": asymmetry,
        "ridge": 4.0,
    }


def calibrated(*, q, ridge, **columns):
    """The landmarks as a table, with what was issued at each."""
    names = ("theta", "p_up", "p_down", "p_neither")
    kinds = [(name, values.dtype) for name, values in columns.items()]
    rows = np.zeros(
        len(q), [*kinds, *((n, "<f8") for n in ("q_up", "q_down", "q_neither", *names))]
    )
    for name, values in columns.items():
        rows[name] = values
    rows["q_up"], rows["q_down"], rows["q_neither"] = q.T
    return calibrate_landmarks(rows, ridge=ridge)


def probabilities(rows):
    return np.column_stack([rows["p_up"], rows["p_down"], rows["p_neither"]])


def test_positive_theta_moves_the_price_to_the_crowded_side():
    q = np.array([[0.4, 0.4, 0.2]])
    p = tilt(q, np.array([0.5]), 1.0)[0]
    assert p[1] > 0.4 > p[0]
    assert p[0] * p[1] == pytest.approx((0.4 * 0.4) * (p[2] / 0.2) ** 2)
    assert p.sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(tilt(q, np.array([0.5]), 0.0), q)


def test_the_fit_is_the_maximum_of_the_penalised_likelihood():
    rng = np.random.default_rng(2)
    given_ = landmarks(rng, strength=1.2)
    q, asymmetry, signed = given_["q"], given_["asymmetry"], -given_["outcome"].astype(float)

    def loss(theta):
        p = tilt(q, asymmetry, theta)
        column = np.select([signed < 0, signed > 0], [0, 1], 2)
        return -np.log(p[np.arange(len(p)), column]).sum() + 4.0 * theta**2 / 2

    best = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9}).x
    assert fit_tilt(q, signed, asymmetry, ridge=4.0) == pytest.approx(best, abs=1e-6)
    assert fit_tilt(q, signed, asymmetry, ridge=4.0, start=-4.0) == pytest.approx(best, abs=1e-6)


def test_it_finds_a_tilt_and_shrinks_where_there_is_none():
    rng = np.random.default_rng(4)
    strong = calibrated(**landmarks(rng, n=3000, strength=1.5))["theta"][-1]
    none = calibrated(**landmarks(rng, n=3000, strength=0.0))["theta"][-1]
    assert strong == pytest.approx(1.5, abs=0.3)
    assert none == pytest.approx(0.0, abs=0.2)


def test_without_matured_outcomes_it_issues_the_base():
    found = calibrated(**landmarks(np.random.default_rng(1), n=40))
    given_ = landmarks(np.random.default_rng(1), n=40)
    early = given_["at"] < DAY + 60_000_000_000
    assert (found["theta"][early] == 0.0).all()
    use = early & given_["scored"]
    np.testing.assert_allclose(probabilities(found)[use], given_["q"][use], rtol=1e-12)
    assert np.isnan(probabilities(found)[~given_["scored"]]).all()


def test_without_asymmetry_the_base_is_issued_to_the_bit():
    """Else scores that are all equal would have an interval, of the width of rounding."""
    rows = landmarks(np.random.default_rng(7), strength=1.0) | {"asymmetry": np.zeros(200)}
    found = calibrated(**rows)
    np.testing.assert_array_equal(probabilities(found)[rows["scored"]], rows["q"][rows["scored"]])


def test_a_window_that_ends_at_issue_is_not_yet_known():
    """The landmark of a day before ends now; its last price is known a minute later."""
    found = calibrated(**landmarks(np.random.default_rng(1), n=40, symbols=1))
    given_ = landmarks(np.random.default_rng(1), n=40, symbols=1)
    assert given_["scored"][0]
    assert found["theta"][1] == 0.0
    assert found["theta"][2] != 0.0


@given(st.integers(0, 10_000), st.integers(0, 99))
def test_poison_what_has_not_matured_changes_no_bit_of_what_was_issued(seed, day):
    rng = np.random.default_rng(seed)
    clean = landmarks(rng)
    moment = day * DAY
    poisoned = {k: (v.copy() if isinstance(v, np.ndarray) else v) for k, v in clean.items()}
    unripe = clean["matured_ns"] > moment
    poisoned["outcome"][unripe] = rng.integers(-1, 2, int(unripe.sum()))
    later = clean["at"] > moment
    poisoned["q"][later] = rng.dirichlet([1, 1, 1], int(later.sum()))
    poisoned["asymmetry"][later] = rng.uniform(-1, 1, int(later.sum()))
    poisoned["scored"][later] = rng.random(int(later.sum())) < 0.5
    issued = ~later
    before, after = calibrated(**clean), calibrated(**poisoned)
    assert probabilities(before)[issued].tobytes() == probabilities(after)[issued].tobytes()
    assert before["theta"][issued].tobytes() == after["theta"][issued].tobytes()


def test_the_poison_test_catches_a_cheater():
    """A calibration that ignores maturity is seen by the very comparison made above."""
    rng = np.random.default_rng(3)
    clean = landmarks(rng, strength=1.0)
    clean["matured_ns"] = clean["at"] + 1  # the planted mistake: known as soon as issued
    poisoned = clean | {"outcome": clean["outcome"].copy()}
    moment = 50 * DAY
    unripe = clean["at"] + DAY + 60_000_000_000 > moment
    poisoned["outcome"][unripe] = np.where(clean["outcome"][unripe] > 0, -1, 1)
    issued = clean["at"] <= moment
    before, after = calibrated(**clean), calibrated(**poisoned)
    assert before["theta"][issued].tobytes() != after["theta"][issued].tobytes()


def test_order_of_rows_does_not_matter():
    clean = landmarks(np.random.default_rng(9))
    shuffled = np.random.default_rng(1).permutation(200)
    moved = {k: (v[shuffled] if isinstance(v, np.ndarray) else v) for k, v in clean.items()}
    there, back = calibrated(**clean), calibrated(**moved)
    np.testing.assert_allclose(there["theta"][shuffled], back["theta"], atol=1e-9)


def test_ties_pull_to_neither_side():
    rng = np.random.default_rng(6)
    given_ = landmarks(rng, n=400)
    given_["outcome"][:] = 0
    q, asymmetry = given_["q"], given_["asymmetry"]
    q = q[:, [0, 0, 2]] / q[:, [0, 0, 2]].sum(1, keepdims=True)
    assert fit_tilt(q, np.zeros(400), asymmetry, ridge=1.0) == pytest.approx(0.0, abs=1e-9)


def test_extreme_outcomes_stay_finite():
    n = 500
    q, asymmetry = np.tile([0.5, 0.5, 0.0], (n, 1)), np.ones(n)
    theta = fit_tilt(q, np.ones(n), asymmetry, ridge=1e-3)
    assert 3.0 < theta < 20.0
    assert np.isfinite(tilt(q, asymmetry, theta)).all()


def test_what_cannot_be_right_is_refused():
    clean = landmarks(np.random.default_rng(0), n=20)
    clean["scored"][:] = True
    with pytest.raises(ConfigError, match="learn: found ridge 0"):
        calibrated(**(clean | {"ridge": 0.0}))
    with pytest.raises(DataError, match="row 0 would have matured at its own issue"):
        calibrated(**(clean | {"matured_ns": clean["at"]}))
    wrong = clean["q"].copy()
    wrong[3] = [0.9, 0.9, -0.8]
    with pytest.raises(DataError, match="row 3 has probabilities"):
        calibrated(**(clean | {"q": wrong}))
    with pytest.raises(DataError, match=r"asymmetry 1\.5"):
        calibrated(**(clean | {"asymmetry": np.full(20, 1.5)}))
