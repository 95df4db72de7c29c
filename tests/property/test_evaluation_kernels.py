"""Evaluation's kernels against their naive twins, and the reflection property."""

from __future__ import annotations

import naive
import numpy as np
from evaluation_world import brownian_market, reflected
from hypothesis import given, settings
from hypothesis import strategies as st

from liqbt.evaluation.config import EvaluationConfig
from liqbt.evaluation.evidence import observe
from liqbt.evaluation.kernels.passages import bootstrap_ratios, first_passages, link_episodes
from liqbt.evaluation.kernels.response import smooth_outward
from liqbt.types import HOUR_NS

EIGHTH = st.integers(-24, 24).map(lambda i: i / 8)


@st.composite
def paths(draw):
    pairs = draw(st.lists(st.tuples(EIGHTH, EIGHTH), min_size=1, max_size=30))
    low = np.array([min(p) for p in pairs])
    high = np.array([max(p) for p in pairs])
    return low, high


@st.composite
def problems(draw):
    low, high = draw(paths())
    n = draw(st.integers(1, 5))
    windows = [
        sorted((draw(st.integers(0, len(low))), draw(st.integers(0, len(low))))) for _ in range(n)
    ]
    sizes = [draw(st.integers(0, 4)) for _ in range(n)]
    rows = sum(sizes)
    levels = np.array([[draw(EIGHTH) for _ in range(2)] for _ in range(rows)]).reshape(rows, 2)
    upward = np.array(
        [[draw(st.sampled_from([1, -1])) for _ in range(2)] for _ in range(rows)], np.int64
    ).reshape(rows, 2)
    first, stop = (np.array([w[k] for w in windows], np.int64) for k in (0, 1))
    return low, high, first, stop, np.cumsum([0, *sizes]), upward, levels


@given(problems())
def test_first_passages_like_the_naive_twin(problem):
    low, high, first, stop, offsets, upward, levels = problem
    found = first_passages(low, high, first, stop, offsets, upward, levels)
    for i in range(len(first)):
        for row in range(offsets[i], offsets[i + 1]):
            for k in range(2):
                assert found[row, k] == naive.first_passage(
                    low.tolist(),
                    high.tolist(),
                    int(first[i]),
                    int(stop[i]),
                    above=bool(upward[row, k] > 0),
                    level=float(levels[row, k]),
                )


@given(problems())
def test_reflection_changes_no_first_passage(problem):
    low, high, first, stop, offsets, upward, levels = problem
    there = first_passages(low, high, first, stop, offsets, upward, levels)
    back = first_passages(-high, -low, first, stop, offsets, -upward, -levels)
    np.testing.assert_array_equal(there, back)


@st.composite
def snapshots(draw):
    result, at = [], 0
    for _ in range(draw(st.integers(1, 12))):
        at += draw(st.integers(1, 4))
        clusters = []
        for side in (-1, 1):
            count = draw(st.integers(0, 3))
            edges = sorted(
                draw(st.sets(st.integers(0, 12), min_size=2 * count, max_size=2 * count))
            )
            clusters += [
                (side, -side * edges[2 * k] / 4, -side * edges[2 * k + 1] / 4, draw(st.booleans()))
                for k in range(count)
            ]
        result.append((at, [(s, min(a, b), max(a, b), e) for s, a, b, e in clusters]))
    return result


def _linked(series, horizon, least, *, sign=1):
    flat = [c for _, clusters in series for c in clusters]
    low = np.array([c[1] if sign > 0 else -c[2] for c in flat], np.float64)
    high = np.array([c[2] if sign > 0 else -c[1] for c in flat], np.float64)
    return link_episodes(
        np.array([at for at, _ in series], np.int64),
        np.cumsum([0, *(len(c) for _, c in series)]),
        np.array([sign * c[0] for c in flat], np.int8),
        low,
        high,
        np.array([c[3] for c in flat], bool),
        horizon,
        least,
    )


@given(snapshots(), st.integers(1, 20), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_link_episodes_like_the_naive_twin(series, horizon, least):
    episode, birth = _linked(series, horizon, least)
    expected = [pair for found in naive.link_clusters(series, horizon, least) for pair in found]
    assert list(zip(episode.tolist(), birth.tolist(), strict=True)) == expected


@given(snapshots(), st.integers(1, 20))
def test_linking_does_not_know_up_from_down(series, horizon):
    there, back = (_linked(series, horizon, 0.5, sign=s) for s in (1, -1))
    np.testing.assert_array_equal(there[0], back[0])
    np.testing.assert_array_equal(there[1], back[1])


@given(snapshots(), st.integers(1, 20))
def test_no_two_births_of_one_cluster_while_it_lives(series, horizon):
    """Nothing is counted twice: a birth overlaps no episode of its side that is still alive."""
    episode, birth = _linked(series, horizon, 0.5)
    assert sorted(episode[birth].tolist()) == list(range(int(birth.sum())))
    flat = [(at, c) for at, clusters in series for c in clusters]
    last: dict[int, tuple] = {}
    born: dict[int, int] = {}
    for (at, cluster), number, is_birth in zip(flat, episode.tolist(), birth.tolist(), strict=True):
        if is_birth:
            born[number] = at
            same = [
                other
                for number_other, other in last.items()
                if other == (cluster[0], cluster[1], cluster[2])
                and at < born[number_other] + horizon
                and born[number_other] < at
            ]
            assert not same
        if number >= 0:
            last[number] = cluster[:3]


@given(st.integers(1, 20), st.sampled_from([1.0, 2.0, 3.5, 8.0]), st.integers(0, 2**32 - 1))
def test_bootstrap_ratios_like_the_naive_twin(n, block, seed):
    rng = np.random.default_rng(seed)
    place, renew = rng.random((2, 4, 22), dtype=np.float32)
    total, count = rng.normal(size=n), rng.integers(0, 3, n).astype(float)
    found = bootstrap_ratios(place, renew, block, total, count)
    for rep in range(4):
        arguments = (place[rep].tolist(), renew[rep].tolist(), block, total.tolist())
        expected = naive.bootstrap_ratio(*arguments, count.tolist())
        np.testing.assert_allclose(found[rep], expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["points", "bars"]))
def test_reflection_swaps_the_sides_and_changes_no_outcome(seed, kind):
    market = brownian_market(np.random.default_rng(seed), days=4, kind=kind)
    config = EvaluationConfig(horizons_ns=(4 * HOUR_NS, 24 * HOUR_NS))
    there, back = (observe([m], config) for m in (market, reflected(market)))
    order = [
        np.lexsort((s * o["side"], o["forecast"], o["horizon_ns"]))
        for o, s in (
            (there.outcomes, 1),
            (back.outcomes, -1),
        )
    ]
    a, b = there.outcomes[order[0]], back.outcomes[order[1]]
    np.testing.assert_array_equal(a["side"], -b["side"])
    for name in ("visited", "penetrated", "swept", "mirror_visited", "visit_ns", "censor", "birth"):
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    np.testing.assert_allclose(a["brownian"], b["brownian"], atol=1e-9)
    f, g = there.first_sides, back.first_sides
    np.testing.assert_array_equal(f["outcome"], -g["outcome"])
    np.testing.assert_array_equal(f["tie"], g["tie"])
    np.testing.assert_allclose(f["q_up"], g["q_down"], atol=1e-9)


@given(
    st.lists(st.integers(0, 8).map(float), min_size=1, max_size=12),
    st.integers(0, 8),
    st.integers(1, 4),
    st.lists(st.integers(-2, 40), max_size=20).map(sorted),
    st.sampled_from([1, 3, 5, 7]),
)
def test_a_smoothed_density_like_the_naive_twin(row, fine, coarse, wanted, width):
    edges = [j if j <= fine else fine + (j - fine) * coarse for j in range(len(row) + 1)]
    bins = [
        v / (b - a) for v, a, b in zip(row, edges, edges[1:], strict=False) for _ in range(a, b)
    ]
    expected = naive.smoothed(bins, 50, width)
    found = smooth_outward(np.array(row), np.array(edges), np.array(wanted, np.int64), width // 2)
    assert found.tolist() == [0.0 if b < 0 else expected[b] for b in wanted]
