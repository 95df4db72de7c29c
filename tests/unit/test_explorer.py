"""The explorer's arrays: what was known apart from what came, and as much of it as fits."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from explored import explored, first_seen_plainly, hostile, notional_between, poisoned
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from liqbt.forecasts import forecast_bytes
from liqbt.report.explorer import columns as c
from liqbt.report.explorer.packing import Packed, pack, unpack
from liqbt.report.pages import explore
from liqbt.study.store import forecast_table, forecasts_of
from liqbt.types import DAY_NS

HOSTILE = "</script><img src=x onerror=window.hacked=1><script>window.hacked=1</script>&\"'"
J = 108


@pytest.fixture(scope="module")
def run():
    return explored()


@pytest.fixture(scope="module")
def full(run):
    return c.market_columns(run, "BTCUSDT", run.maps["BTCUSDT"], estimator=None, horizon_ns=DAY_NS)


@given(
    st.dictionaries(
        st.sampled_from(["at", "heat", "close", "rank"]),
        st.sampled_from(["u1", "i2", "u4", "i4", "f4", "f8"]).flatmap(
            lambda word: hnp.arrays(np.dtype(word), st.integers(0, 9))
        ),
    ).filter(lambda arrays: all(a.dtype.kind != "f" for k, a in arrays.items() if k != "rank"))
)
def test_what_is_packed_is_unpacked(arrays):
    packed = pack(arrays)
    assert packed == pack(arrays)
    for name, array in unpack(packed).items():
        np.testing.assert_array_equal(array, arrays[name])
        assert packed.layout[name][1] % 8 == 0


def test_clusters_are_as_old_as_the_row_of_forecasts_that_have_them(run, full):
    forecasts = run.maps["BTCUSDT"]
    at = full.known["at"]
    place = np.concatenate([[0], np.cumsum(full.known["count"].astype(int))])
    ages = set()
    for i in range(5, len(forecasts), 16):
        for k in range(len(forecasts[i].clusters)):
            first = first_seen_plainly(forecasts, i, k)
            assert full.known["since"][place[i] + k] == at[first]
            ages.add(i - first)
    assert len(ages) > 5


def test_clusters_and_chances_are_the_runs_own(run, full):
    known, forecasts = full.known, run.maps["BTCUSDT"]
    rows = np.concatenate([f.clusters for f in forecasts])
    low = full.anchor * np.exp(known["low"] * c.CLUSTER_STEP)
    high = low * np.exp(known["width"] * c.CLUSTER_STEP)
    np.testing.assert_allclose(low, rows["low"], rtol=1e-9)  # edges of bins are kept exactly
    np.testing.assert_allclose(high, rows["high"], rtol=1e-9)
    np.testing.assert_allclose(
        np.expm1(known["usd"] / c.USD_STEPS), rows["notional_usd"], rtol=1.01e-3
    )
    issued = run.issued.to_pylist()
    mine = [r for r in issued if r["symbol"] == "BTCUSDT"]
    owner = np.repeat(np.arange(len(forecasts)), known["count"])
    said = np.flatnonzero(known["issued"] >= 0)
    assert len(said) == len(mine) > 40
    for i in said.tolist():
        row, forecast = mine[known["issued"][i]], forecasts[owner[i]]
        assert (row["at"], row["side"]) == (forecast.at, known["side"][i])
        near = rows["low" if row["side"] < 0 else "high"][i]
        sigma = abs(np.log(near / forecast.mark)) / forecast.sigma_1d
        assert sigma == pytest.approx(row["distance_sigma"])
        chances = [known[k][known["issued"][i]] / c.CHANCE_STEPS for k in ("p", "placebo")]
        assert chances == pytest.approx([row["p"], row["p_ablated"]], abs=5.1e-5)


def test_a_columns_shades_hold_the_densitys_mass(run, full):
    out, rows = c.row_edges(), c.FINE_ROWS + c.COARSE_ROWS
    heat = full.known["heat"].reshape(-1, 2, rows)
    for i in (40, 149):
        forecast, peak = run.maps["BTCUSDT"][i], float(full.known["peak"][i])
        per_percent = peak * (heat[i] / c.SHADES) ** 2
        for row, side in enumerate((1, -1)):
            for r in range(0, rows, 11):
                usd = notional_between(forecast, side, out[r], out[r + 1])
                true = usd / (100.0 * (out[r + 1] - out[r]))
                step = abs(np.sqrt(true / peak) - heat[i, row, r] / c.SHADES)
                assert step <= 0.5 / c.SHADES + 1e-6
        assert per_percent.max() == pytest.approx(peak)
    assert (np.diff(full.known["scale"]) >= 0.0).all()


def _known_then(held: c.Columns, j: int) -> dict[str, np.ndarray]:
    """Everything that the page may show at forecast `j`."""
    known, came, cut = held.known, held.came, held.known["cut"][j]
    clusters = int(known["count"][: j + 1].sum())
    rows = len(known["heat"][0])
    out = {k: known[k][: j + 1] for k in ("at", "cut", "mark", "sigma", "oi", "scale", "peak")}
    out |= {k: known[k][: j + 1] for k in ("count", "prior_long", "prior_short")}
    out["heat"] = known["heat"].reshape(-1, rows)[: j + 1]
    out |= {k: known[k][:clusters] for k in ("side", "low", "width", "usd", "rank", "since")}
    which = known["issued"][:clusters]
    for name in ("issued_at", "p", "placebo", "brownian"):
        out[name] = np.where(which >= 0, known[name][which], 0)
    path = known["t"] <= cut
    out |= {k: known[k][path] for k in ("t", "close", "fell", "rose")}
    over = (came["over"][:clusters] > 0) & (came["over"][:clusters] <= cut)
    out |= {k: np.where(over, came[k][:clusters], 0) for k in ("visit", "over")}
    ended = came["ended"] <= cut
    return out | {f"episode {k}": came[k][ended] for k in ("born", "edge", "visited", "ended")}


def test_another_future_leaves_what_is_shown_before_as_it_was(run, full):
    other = poisoned(run, J, np.random.default_rng(4))
    held = c.market_columns(
        other, "BTCUSDT", other.maps["BTCUSDT"], estimator=None, horizon_ns=DAY_NS
    )
    mine, theirs = _known_then(full, J), _known_then(held, J)
    assert (mine["episode ended"] > 0).sum() > 10
    assert (mine["visit"] > 0).any()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    later, others = _known_then(full, len(full.known["at"]) - 1), _known_then(held, J + 40)
    assert (later["close"][-1], later["scale"][-1]) != (others["close"][-1], others["scale"][-1])


def test_no_outcome_comes_before_the_price_that_decided_it(run, full):
    rows = [r for r in run.table.to_pylist() if r["market"] == "BTCUSDT" and r["visited"] >= 0]
    decided = {
        (r["at"] // 10**9, r["visit_ns"] if r["visited"] else r["exposed_end_ns"]) for r in rows
    }
    born, ended = full.came["born"].tolist(), full.came["ended"].tolist()
    assert len(born) == len(rows) > 40
    assert {(b, e) for b, e in zip(born, ended, strict=True)} == {
        (at, -(-ns // 10**9)) for at, ns in decided
    }
    assert (full.known["cut"] <= full.known["at"]).all()


def _held(page: str) -> tuple[dict, list[dict[str, np.ndarray]]]:
    texts = dict(re.findall(r'<script type="[^"]+" id="([^"]+)">([^<]*)</script>', page))
    about = json.loads(texts["about"])
    return about, [
        unpack(Packed(layout=m["known"], text=texts[f"known-{i}"]))
        for i, m in enumerate(about["maps"])
    ]


def test_what_does_not_fit_is_thinned_by_a_whole_number(run, tmp_path):
    whole = explore.write_explorer(run, tmp_path)
    size = whole.stat().st_size
    text = whole.read_text(encoding="utf-8")
    about, maps = _held(text)
    assert (about["every"], len(maps)) == (1, 4)
    assert [(m["market"], m["estimator"]) for m in about["maps"]] == [
        (0, 0),
        (1, 0),
        (0, 1),
        (1, 1),
    ]
    assert "Every forecast is on this page" in text
    most = 100_000
    page = explore.write_explorer(run, tmp_path, most=most).read_text(encoding="utf-8")
    about, thin = _held(page)
    k = about["every"]
    assert k > 1
    assert f"One forecast in {k} is on this page" in page
    assert len(page) < min(most + 150_000, size)
    for held, less in zip(maps, thin, strict=True):
        np.testing.assert_array_equal(less["at"], held["at"][::-1][::k][::-1])


def test_only_the_pages_own_scripts_may_run(tmp_path):
    page = explore.write_explorer(hostile(HOSTILE), tmp_path).read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert len(scripts) == 2
    allowed = policy[1].replace("&#39;", "'")
    assert allowed == (
        "default-src 'none'; style-src 'unsafe-inline'; script-src "
        + " ".join(f"'sha256-{d}'" for d in digests)
    )
    assert "<img" not in page
    about, _ = _held(page)
    assert about["markets"] == [HOSTILE]
    assert about["estimators"][0]["name"] == HOSTILE


def test_the_library_is_as_it_was_published():
    folder = Path(explore.__file__).parent / "vendor" / "uplot"
    card = json.loads((folder / "VENDORED.json").read_text())
    held = {p.name for p in folder.iterdir()} - {"VENDORED.json"}
    assert held == set(card["files"])
    for name, digest in card["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert f"(v{card['version']})" in (folder / "uPlot.iife.min.js").read_text()[:200]


def test_forecasts_that_state_more_than_others_are_kept_beside_them(run):
    plain, stated = run.maps["BTCUSDT"][:2], run.second["BTCUSDT"][:2]
    parts = [forecast_table(plain), forecast_table(stated)]
    kept = forecasts_of(pa.concat_tables(parts, promote_options="default"))
    assert [forecast_bytes(f) for f in kept] == [forecast_bytes(f) for f in (*plain, *stated)]


def test_a_run_without_forecasts_has_a_page_that_says_so(run, tmp_path):
    none = type(run)(
        **{
            **{f: getattr(run, f) for f in run.__dataclass_fields__},
            "maps": {"BTCUSDT": [], "ETHUSDT": []},
            "second": {"BTCUSDT": [], "ETHUSDT": []},
        }
    )
    page = explore.write_explorer(none, tmp_path).read_text(encoding="utf-8")
    assert "No forecast was issued" in page
    assert "<script" not in page
