"""Estimators by name: their parameters, what they need, one pass for several, one's own code."""

from __future__ import annotations

import copy
import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from estimator_events import TIERS, market, of
from toys import START, Toy, toy_tape

from liqbt.errors import ConfigError, EstimatorError
from liqbt.estimators.base import registered, registered_estimators
from liqbt.estimators.baselines import DistanceKernel, Uniform
from liqbt.estimators.config import MapParams
from liqbt.estimators.density import forecast_from_density
from liqbt.forecasts import forecasts_digest
from liqbt.registry.ledger import run_identity
from liqbt.replay import copied, replay, replay_many, require_density, schedule
from liqbt.search.schema import load_search
from liqbt.study.estimators import (
    build_competing_maps,
    build_estimators,
    estimator_identity,
    estimator_sources,
    needed_kinds,
)
from liqbt.study.own_code import make_importable, own_class, own_sources
from liqbt.study.plan import prepare
from liqbt.study.progress import silent
from liqbt.study.run import run_experiment, run_plan
from liqbt.study.schema import (
    Experiment,
    configuration_identity,
    load_experiment,
    parse_experiment,
    with_estimator,
)
from liqbt.study.store import load_run
from liqbt.study.validity import first_estimator
from liqbt.types import DAY_NS, HOUR_NS, Events, Kind

BAD = {"window": "1d", "shar": 1}
BARS = {"events": {"bar": "v/B"}}
FULL = {
    "events": {"mark": "v/B", "open_interest": "v/B"},
    "margin": {"flat_rate": 0.009, "max_leverage": 100},
}
MINE = """
from dataclasses import dataclass

from pydantic import BaseModel

from liqbt.estimators import DensityEstimator, Duration, MapParams
from liqbt.types import HOUR_NS, Kind


@dataclass(frozen=True, kw_only=True)
class Params(MapParams):
    window: Duration = 6 * HOUR_NS
    leverages: tuple[float, ...] = (10.0, 25.0)

    def __post_init__(self):
        super().__post_init__()
        if not self.leverages:
            raise ValueError("no leverages")


class Modelled(BaseModel):
    window: Duration
    share: float = 0.5


class Flat(DensityEstimator):
    Params = Params

    def density(self, at, prices):
        return prices * 0.0 + self.params.window


class Model:
    Params = Modelled

    def __init__(self, params, market):
        self.params = params

    update = forecast = state = len
"""


def parsed(folder: Path = Path("here"), **changes: Any) -> Experiment:
    raw = {"name": "x", "data": {"world": "w.yaml"}, "symbols": {"B": FULL}} | changes
    return parse_experiment(copy.deepcopy(raw), folder / "x.yaml")


@pytest.fixture
def own(tmp_path) -> Path:
    (tmp_path / "own_maps.py").write_text(MINE)
    yield tmp_path
    for name in [n for n in sys.modules if n.partition(".")[0].startswith("own_")]:
        del sys.modules[name]


def test_the_older_form_means_the_same():
    flat = {"sigma_sampling": "1h", "prominence": 0.2, "shift_days": 3}
    older = parsed(estimator={"name": "swings", **flat})
    params = {k: v for k, v in flat.items() if k != "shift_days"}  # swings has none
    assert older == parsed(estimators={"swings": {"use": "swings", "params": params}})
    assert parsed().estimators == parsed(estimator={}).estimators
    assert parse_experiment(older.model_dump(mode="json"), Path("x.yaml")) == older
    assert older.estimators["swings"].params["half_life"] == "7d"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"estimators": {"a": {"use": "swings", "params": {"reversl": 1}}}},
            "unknown key 'estimators.a.params.reversl'; did you mean 'reversal'?",
        ),
        (
            {"estimator": {"bracket": []}},
            "unknown key 'estimator.bracket'; did you mean 'brackets'?",
        ),
        (
            {"estimator": {"brackets": [{"leverage": 5, "weight": 1, "halflife": "1d"}]}},
            "key 'estimator.brackets.0.half_life' is missing",
        ),
        (
            {
                "estimators": {
                    "a": {
                        "use": "oi_flow",
                        "params": {
                            "brackets": [
                                {"leverage": 5, "weight": 1, "half_life": "1d", "leverag": 1}
                            ]
                        },
                    }
                }
            },
            "unknown key 'estimators.a.params.brackets.0.leverag'; did you mean 'leverage'?",
        ),
        (
            {"estimators": {"a": {"use": "swings", "params": {"half_life": "1 week"}}}},
            "key 'estimators.a.params.half_life': '1 week' is not a duration",
        ),
        (
            {"estimators": {"a": {"use": "swings", "params": {"reversal": "wide"}}}},
            "key 'estimators.a.params.reversal': Input should be a valid number",
        ),
        (
            {"estimators": {"a": {"use": "swings", "params": {"reversal": -1}}}},
            "key 'estimators.a.params': reversal is -1.0: out of range",
        ),
        ({"estimators": {"a": {"use": "swngs"}}}, "did you mean 'swings'?"),
        (
            {"estimators": {"a": {"use": "swings", "parms": {}}}},
            "unknown key 'estimators.a.parms'; did you mean 'params'?",
        ),
        ({"estimators": {}}, "key 'estimators'"),
        ({"estimator": "swings"}, "key 'estimator': expected a mapping"),
        ({"estimator": {}, "estimators": {"a": {"use": "swings"}}}, "not both"),
        (
            {"symbols": {"B": FULL | {"estimators": {"oi_flw": {}}}}},
            "unknown key 'symbols.B.estimators.oi_flw'; did you mean 'oi_flow'?",
        ),
        (
            {"symbols": {"B": FULL | {"estimator": {"reech": 1}}}},
            "unknown key 'symbols.B.estimator.reech'; did you mean 'reach'?",
        ),
        (
            {
                "symbols": {"B": FULL | {"estimator": {"reach": 1}}},
                "estimators": {"a": {"use": "swings"}, "b": {"use": "uniform"}},
            },
            "the experiment has 2 estimators; say of which with 'symbols.B.estimators.NAME.params'",
        ),
    ],
)
def test_what_is_wrong_with_an_estimator_is_one_sentence(changes, says):
    with pytest.raises(ConfigError) as caught:
        parsed(**changes)
    assert str(caught.value).startswith("here/x.yaml: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parameters_of_ones_own_are_checked_by_its_own_class(own):
    mine = {"use": "own_maps:Flat", "params": {"window": "36h", "leverages": [20]}}
    experiment = parsed(own, estimators={"mine": mine})
    built = build_estimators(experiment, "B")["mine"]
    assert (built.params.window, built.params.leverages) == (36 * HOUR_NS, (20.0,))
    model = {"use": "own_maps:Model", "params": {"window": "2d"}}
    [made] = build_estimators(parsed(own, estimators={"m": model}), "B").values()
    assert (made.params.window, made.params.share) == (2 * DAY_NS, 0.5)
    for params, says in (
        ({"windw": "2d"}, "unknown key 'estimators.m.params.windw'; did you mean 'window'?"),
        ({}, "key 'estimators.m.params.window' is missing"),
    ):
        with pytest.raises(ConfigError, match=says):
            parsed(own, estimators={"m": {"use": "own_maps:Model", "params": params}})
    with pytest.raises(ConfigError, match=r"key 'estimators.m.params'.*no leverages"):
        parsed(own, estimators={"m": {"use": "own_maps:Flat", "params": {"leverages": []}}})


def test_what_differs_for_a_symbol_is_merged():
    two = {"A": FULL | {"estimator": {"sigma_sampling": "1h"}}, "B": FULL}
    experiment = parsed(symbols=two, estimator={"prominence": 0.3})
    of_a, of_b = (experiment.estimators_of(s)["oi_flow"].params for s in "AB")
    assert (of_a["sigma_sampling"], of_a["prominence"]) == ("1h", 0.3)
    assert (of_b["sigma_sampling"], of_b["prominence"]) == ("5min", 0.3)
    assert estimator_identity(experiment) == {
        "oi_flow": {
            "use": "oi_flow",
            "params": {"prominence": 0.3},
            "symbols": {
                "A": {"use": "oi_flow", "params": {"sigma_sampling": "1h", "prominence": 0.3}}
            },
        }
    }
    other = {"A": FULL | {"estimators": {"oi_flow": {"use": "uniform"}}}}
    of_a = parsed(symbols=other, estimator={"prominence": 0.3}).estimators_of("A")["oi_flow"]
    assert (of_a.use, of_a.params) == ("uniform", {"prominence": 0.3})


def test_only_what_differs_from_the_defaults_is_identity(own):
    plain = parsed(estimators={"r": {"use": "oi_flow"}})
    said = parsed(estimators={"r": {"use": "oi_flow", "params": {"reach": 0.92}}})
    assert (
        estimator_identity(plain)
        == estimator_identity(said)
        == {"r": {"use": "oi_flow", "params": {}}}
    )
    mine = {"use": "own_maps:Flat", "params": {"window": "6h", "leverages": [10]}}
    found = estimator_identity(parsed(own, estimators={"mine": mine}))["mine"]
    assert found["params"] == {"leverages": [10.0]}
    assert set(found["sources"]) == {"own_maps.py"}


def test_the_first_of_several_owns_the_verdicts_and_their_order_is_identity():
    both = {"a": {"use": "oi_flow"}, "b": {"use": "uniform"}}
    one, other = (
        configuration_identity(parsed(estimators=dict(each)))
        for each in (both.items(), reversed(both.items()))
    )
    assert run_identity(one) != run_identity(other)
    assert set(configuration_identity(parsed())) == {"schema", "config"}  # as it always was


def test_a_parameter_called_name_poses_as_no_other_estimator(own):
    (own / "own_maps.py").write_text(MINE.replace("share: float = 0.5", "name: str = 'oi_flow'"))
    use = {"m": {"use": "own_maps:Model", "params": {"window": "2d"}}}
    assert first_estimator(parsed(own, estimators=use), "B")["name"] == "own_maps:Model"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("@dataclass(frozen=True, kw_only=True)\nclass Params(MapParams)", "class Params",
         "estimator 'own_maps:Flat': its Params is <class 'own_maps.Params'>; expected a frozen"),
        ("    Params = Params\n", "    Params = Params\n    needs = ('trade',)\n",
         "its needs is ('trade',); expected a tuple of Kind"),
        ("    Params = Params\n", "    Params = Params\n    needs = Kind.TRADE\n",
         "; expected a tuple of Kind"),
        ("class Flat(DensityEstimator)", "class Flat", "it has no 'update'; expected a class with"),
        ("class Flat(DensityEstimator)", "def Flat(): pass\nclass Other", "it is no class;"),
        ("leverages: tuple[float, ...] = (10.0, 25.0)",
         "leverages: frozenset[str] = frozenset('ab')",
         "key 'estimators.mine.params': 'leverages' is a set, whose order is not fixed"),
        ("leverages: tuple[float, ...] = (10.0, 25.0)",
         "leverages: tuple[dict[str, set[str]], ...] = ({'a': {'b'}},)", "'leverages' is a set"),
    ],
)  # fmt: skip
def test_a_class_that_is_no_estimator_is_one_sentence(own, old, new, says):
    assert old in MINE
    (own / "own_maps.py").write_text(MINE.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        parsed(own, estimators={"mine": {"use": "own_maps:Flat"}})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("dict[str, Modelled] = {}", {"a": BAD}, "a.shar'; did you mean"),
        ("Modelled | None = None", BAD, "share.shar'; did you mean"),
        ("tuple[Modelled, ...] = ()", [BAD], "0.shar'; did you mean"),
        ("Modelled | Wide | None = None", BAD, "Modelled.shar'"),
    ],
)  # fmt: skip
def test_an_unknown_key_further_in_is_one_sentence(own, kind, given, says):
    more = (
        "class Wide(Modelled):\n    width: float\n\n\n"
        f"class Outer(BaseModel):\n    share: {kind}\n\n\nclass Flat("
    )
    text = MINE.replace("(BaseModel):", "(BaseModel, extra='forbid'):", 1).replace(
        "class Flat(", more
    )
    (own / "own_maps.py").write_text(text.replace("Params = Modelled", "Params = Outer"))
    use = {"mine": {"use": "own_maps:Model", "params": {"share": given}}}
    with pytest.raises(ConfigError) as caught:
        parsed(own, estimators=use)
    assert "unknown key 'estimators.mine.params.share" in str(caught.value)
    assert says in str(caught.value)


def test_only_a_class_of_the_package_is_registered_and_under_a_name_of_its_own():
    with pytest.raises(ConfigError, match=r"only classes of .* are; name your own as"):
        registered("mine")(type("Mine", (Uniform,), {}))
    taken = type("Taken", (Uniform,), {"__module__": "liqbt.estimators.mine"})
    with pytest.raises(ConfigError, match=r"'uniform' is .*:Uniform already"):
        registered("uniform")(taken)
    assert registered("uniform")(Uniform) is registered_estimators()["uniform"]
    assert "mine" not in registered_estimators()


def test_parameters_of_another_class_are_not_those_of_the_maps_beside_it(own):
    (own / "own_maps.py").write_text(MINE.replace("share: float", "step: float"))
    use = {"m": {"use": "own_maps:Model", "params": {"window": "2d", "step": 60}}}
    made = build_competing_maps(parsed(own, estimators=use), "B")
    assert {each.params.step for each in made.values()} == {MapParams().step}


def test_an_estimator_that_lacks_what_it_reads_is_one_sentence():
    able = ("distance_kernel", "prior_extremes", "round_numbers", "swings", "uniform")
    for name in (*able, "volume_profile"):
        experiment = parsed(symbols={"B": BARS}, estimators={"a": {"use": name}})
        assert build_estimators(experiment, "B")
        assert needed_kinds(experiment, "B") == (Kind.BAR,)
    with pytest.raises(ConfigError) as caught:
        parsed(symbols={"B": BARS})
    assert "'oi_flow' reads open_interest, and 'symbols.B.events' names no" in str(caught.value)
    assert "use one that does without: candle_colour, distance_kernel, equal" in str(caught.value)
    with pytest.raises(
        ConfigError, match=r"'a' \(mirror\) places .* 'symbols.B.margin' is missing"
    ):
        parsed(symbols={"B": {"events": FULL["events"]}}, estimators={"a": {"use": "mirror"}})
    with pytest.raises(ConfigError, match="reads open_interest"):
        with_estimator(parsed(symbols={"B": BARS}, estimator={"name": "swings"}), "oi_flow")


def test_one_of_several_is_taken_with_its_parameters():
    both = {
        "a": {"use": "swings", "params": {"reversal": 0.02, "sigma_sampling": "1h"}},
        "b": {"use": "uniform"},
    }
    experiment = parsed(estimators=both)
    assert list(with_estimator(experiment, "b").estimators) == ["b"]
    other = with_estimator(experiment, "round_numbers").estimators["round_numbers"]
    assert (other.use, other.params["sigma_sampling"]) == ("round_numbers", "1h")


def test_several_in_one_pass_are_what_they_are_alone():
    tape = toy_tape(900)
    times = schedule(START, int(tape.events["ts_known"][-1]), HOUR_NS)

    def made() -> dict[str, Any]:
        out = {}
        for name, kind in registered_estimators().items():
            if Kind.POSITION in kind.needs:
                continue  # this tape has none
            extra = {"shift_days": 1} if name == "time_shift" else {}
            out[name] = kind(*of(kind, tiers=TIERS, sigma_window=6 * HOUR_NS, **extra))
        return out

    cuts: list[tuple[int, int]] = []

    def counted(events: Events, start: int, stop: int) -> Events:
        cuts.append((start, stop))
        return copied(events, start, stop)

    together = replay_many(tape, made(), times, batch=17, slicer=counted)
    assert len(cuts) == len(set(cuts)) > len(times) // 2
    assert set(together) == set(registered_estimators()) - {"census", "structured"}
    for name, estimator in made().items():
        alone = replay(tape, estimator, times)
        assert len(alone) > 20
        assert forecasts_digest(together[name]) == forecasts_digest(alone), name


@pytest.mark.parametrize("scale", [None, 1.0, 3.0])
def test_a_density_becomes_the_forecast_that_the_kernels_make(scale):
    tape = market(seed=3, days=6)
    when = int(tape["ts_known"][-1]) + 1
    kind = Uniform if scale is None else DistanceKernel
    estimator = kind(*of(kind, **({} if scale is None else {"scale_sigma": scale})))
    estimator.update(tape)
    made = estimator.forecast(when)
    head = estimator.state()["head"][0]
    n = int(made.grid.outward_edges(made.density_usd.shape[1])[-1])
    bins = np.arange(-n - 4, n + 5)  # as far as smoothing reads
    usd = np.ones(len(bins))
    if scale is not None:
        centres = (made.mark_bin + bins + 0.5) * made.grid.step
        distance = centres - np.log(made.mark / made.grid.anchor)
        usd = np.exp(-0.5 * (distance / (scale * made.sigma_1d)) ** 2)
    for side in (slice(None, n + 4), slice(n + 5, None)):
        within = usd[side][4:] if side.start is None else usd[side][:-4]
        usd[side] *= made.open_interest_usd / within.sum()
    found = forecast_from_density(
        usd,
        first_bin=made.mark_bin - n - 4,
        anchor=made.grid.anchor,
        symbol=made.symbol,
        at=when,
        latest_known=made.latest_known,
        mark=made.mark,
        mark_ts=int(head["mark_ts"]),
        sigma_1d=made.sigma_1d,
        open_interest_usd=made.open_interest_usd,
        observed_long_usd=made.observed_long_usd,
        observed_short_usd=made.observed_short_usd,
    )
    np.testing.assert_allclose(found.density_usd, made.density_usd, rtol=1e-6)
    assert len(found.clusters) == len(made.clusters)
    for name in made.clusters.dtype.names:
        np.testing.assert_allclose(found.clusters[name], made.clusters[name], rtol=1e-9)
    assert found.asymmetry == pytest.approx(made.asymmetry, abs=1e-9)
    for name in ("grid", "mark_bin", "mark_ts", "latest_known", "sigma_1d", "open_interest_usd"):
        assert getattr(found, name) == getattr(made, name), name


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"density_usd": [[1.0]]}, r"has shape \(1, 1\); expected \(n,\)"),
        ({"density_usd": [1.0, np.nan]}, "holds nan in entry 1"),
        ({"density_usd": [-1.0]}, "holds -1.0 in entry 0"),
        ({"mark": 1e9}, "expected a mark within"),
        ({"sigma_1d": 0.0}, "σ above 0"),
    ],
)
def test_a_density_that_is_none_is_refused(changes, says):
    given: dict[str, Any] = {
        "density_usd": np.ones(9), "first_bin": -4, "anchor": 100.0, "symbol": "X", "at": 2,
        "latest_known": 1, "mark": 100.0, "mark_ts": 1, "sigma_1d": 0.02,
    }  # fmt: skip
    assert forecast_from_density(**given).density_usd.sum() == 8.0
    with pytest.raises(EstimatorError, match=says):
        forecast_from_density(**(given | changes))


def test_clusters_without_a_density_are_refused_in_words():
    class NoDensity(Toy):
        given: Any = np.zeros((2, 10), np.float32)

        def forecast(self, at):
            made = super().forecast(at)
            return made and replace(made, density_usd=self.given)

    tape, times = toy_tape(), START + HOUR_NS * np.arange(1, 20)
    require_density(replay(tape, Toy(), times))
    for given in (NoDensity.given, None):
        NoDensity.given = given
        with pytest.raises(EstimatorError) as caught:
            require_density(replay(tape, NoDensity(), times))
        assert "the magnet's dose-response reads the estimated notional" in str(caught.value)
        assert "forecast_from_density" in str(caught.value)


def test_what_a_density_remembers_is_its_state(own):
    tape = toy_tape(900)
    times = START + HOUR_NS * np.arange(20, 70)
    (own / "own_memory.py").write_text(
        MINE.replace(
            "    def density",
            "    def update(self, events):\n"
            "        super().update(events)\n"
            "        seen = [self.memory.get('p', events['p3'][:0]), events['p3'][-1:]]\n"
            "        self.memory['p'] = __import__('numpy').concatenate(seen)\n\n"
            "    def density",
        ).replace("+ self.params.window", "+ len(self.memory['p'])")
    )
    use = {"m": {"use": "own_memory:Flat", "params": {"sigma_window": "6h"}}}
    experiment = parsed(own, estimators=use)
    whole, first, resumed = (build_estimators(experiment, "B")["m"] for _ in range(3))
    expected = replay(tape, whole, times)
    cuts = np.searchsorted(tape.events["ts_known"], times[25:27])
    replay(tape, first, times[:26])
    resumed.restore(first.state())
    assert len(resumed.memory["p"]) == 26
    resumed.update(copied(tape.events, *cuts.tolist()))
    assert forecasts_digest([resumed.forecast(int(times[26]))]) == forecasts_digest([expected[26]])


def test_what_a_density_remembers_may_be_called_like_the_markets_own(own):
    tape = toy_tape(900)
    use = {"m": {"use": "own_maps:Flat", "params": {"sigma_window": "6h"}}}
    whole, again = (build_estimators(parsed(own, estimators=use), "B")["m"] for _ in range(2))
    replay(tape, whole, START + HOUR_NS * np.arange(20, 30))
    expected = whole.state()
    whole.memory = {"head": np.arange(3), "slots": [1.5, 2.5], "n": 7}
    again.restore(whole.state())
    assert {k: v.tolist() for k, v in again.memory.items()} == {
        "head": [0, 1, 2], "slots": [1.5, 2.5], "n": 7,
    }  # fmt: skip
    assert all(again.state()[k].tobytes() == v.tobytes() for k, v in expected.items())
    for value in (None, {"a": 1}, [[1.0], [1.0, 2.0]]):
        whole.memory = {"seen": value}
        with pytest.raises(EstimatorError, match=r"memory\['seen'\] is .*; expected an array"):
            whole.state()


def test_a_density_that_is_none_names_estimator_and_time(own):
    (own / "own_bad.py").write_text(MINE.replace("prices * 0.0 +", "prices[1:] * 0.0 +"))
    use = {"m": {"use": "own_bad:Flat", "params": {"sigma_window": "6h"}}}
    built = build_estimators(parsed(own, estimators=use), "B")["m"]
    with pytest.raises(EstimatorError, match=r"estimator Flat, asked for 2025-.* \(11999,"):
        replay(toy_tape(900), built, START + HOUR_NS * np.arange(20, 30))


def write_small(folder: Path, estimators: str, kinds: str = "bar: simulated/SIM") -> Path:
    (folder / "w.yaml").write_text("name: w\ndays: 16\nwarmup_days: 5\nmagnet: 1.0\n")
    path = folder / "small.yaml"
    path.write_text(
        "name: small\ndata: {world: w.yaml, seed: 3}\n"
        f"symbols: {{SIM: {{events: {{{kinds}}}}}}}\n"
        f"estimators: {estimators}\nschedule: {{warm_up: 5d, every: 4h}}\n"
        "evaluation: {bootstrap_reps: 200, horizons: [24h]}\nseed: 3\n"
    )
    return path


def test_candles_alone_test_round_numbers(tmp_path):
    path = write_small(tmp_path, "{plain: {use: round_numbers, params: {sigma_sampling: 1h}}}")
    run = run_experiment(path, tmp_path / "r")
    assert len(run.forecasts("SIM")) > 30
    assert np.isnan(run.forecasts("SIM")[0].open_interest_usd)
    assert load_run(run.path).manifest["symbols"]["SIM"]["margin"] is None


def test_a_changed_helper_is_another_run(own):
    package = own / "own_tools"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("from .deeper import VALUE\n")
    (package / "deeper.py").write_text("VALUE = 1.0\n")
    (own / "own_other.py").write_text("VALUE = 1.0\n")
    (own / "own_maps.py").write_text(
        MINE.replace(
            "prices * 0.0 + self.params.window", "prices * 0.0 + own_tools.deep.VALUE"
        ).replace("from pydantic", "import own_tools.deep\nfrom pydantic")
    )
    path = write_small(own, "{mine: {use: 'own_maps:Flat', params: {sigma_sampling: 1h}}}")
    assert set(estimator_sources(load_experiment(path))) == {
        "own_maps.py", "own_tools/__init__.py", "own_tools/deep.py", "own_tools/deeper.py",
    }  # fmt: skip
    first = run_experiment(path, own / "r")
    (own / "own_other.py").write_text("VALUE = 2.0\n")  # nobody imports it
    assert run_experiment(path, own / "r").run_id == first.run_id
    (package / "deeper.py").write_text("VALUE = 20.0\n")
    second = run_experiment(path, own / "r")
    assert second.run_id != first.run_id
    sums = [float(run.forecasts("SIM")[0].density_usd[0, 0]) for run in (first, second)]
    assert sums == [1.0, 20.0]  # and it is the changed one that ran
    assert second.manifest["hashes"]["estimators"] != first.manifest["hashes"]["estimators"]


@pytest.mark.parametrize("name", ["own_maps.py", "own_helper.py"])
def test_code_that_is_edited_since_it_was_prepared_is_refused(own, name):
    (own / "own_helper.py").write_text("VALUE = 1.0\n")
    text = MINE.replace("+ self.params.window", "+ own_helper.VALUE")
    (own / "own_maps.py").write_text("import own_helper\n" + text.replace("from __f", "# __f"))
    path = write_small(own, "{mine: {use: 'own_maps:Flat', params: {sigma_sampling: 1h}}}")
    plan = prepare(path, own / "r")
    (own / name).write_text((own / name).read_text() + "\nEDITED = 1\n")
    with pytest.raises(ConfigError, match=f"small: '{name}' was edited since the run was prepared"):
        run_plan(plan, own / "r", None, silent)
    assert not list((own / "r" / "small").glob("*/manifest.json"))

    def edit(stage: str, *_: object) -> None:
        (own / name).write_text((own / name).read_text() + f"\nDONE = '{stage}'\n")

    with pytest.raises(ConfigError, match=f"'{name}' was edited since"):
        run_plan(prepare(path, own / "r"), own / "r", None, edit)
    assert run_experiment(path, own / "r").path.is_dir()


def test_what_was_imported_before_is_imported_anew_at_first_sight(own, monkeypatch):
    monkeypatch.syspath_prepend(str(own))
    (own / "own_helper.py").write_text("VALUE = 1\n")
    (own / "own_early.py").write_text(f"import own_helper\n{MINE}\nVALUE = own_helper.VALUE\n")
    assert importlib.import_module("own_early").VALUE == 1  # as a notebook does
    (own / "own_helper.py").write_text("VALUE = 20\n")
    found = own_class("own_early:Flat")
    assert (sys.modules[found.__module__].VALUE, own_class("own_early:Flat")) == (20, found)
    (own / "own_late.py").write_text("import own_other\nclass A: VALUE = own_other.VALUE\n")
    (own / "own_other.py").write_text("VALUE = 1\n")
    importlib.import_module("own_other")
    (own / "own_other.py").write_text("VALUE = 20\n")
    assert own_class("own_late:A").VALUE == 20  # a helper alone was imported before
    with pytest.raises(ConfigError, match="'__main__:A' cannot be imported: it is the program"):
        own_class("__main__:A")


def test_a_link_counts_as_the_file_that_it_leads_to(own, tmp_path_factory):
    place = tmp_path_factory.mktemp("shared") / "helper.py"
    place.write_text("VALUE = 1.0\n")
    (own / "own_helper.py").symlink_to(place)
    (own / "own_linked.py").write_text("from own_helper import VALUE\nclass A: value = VALUE\n")
    make_importable(own)
    before = own_sources("own_linked:A")
    assert set(before) == {"own_linked.py", "own_helper.py"}
    place.write_text("VALUE = 20.0\n")
    assert own_sources("own_linked:A") != before
    assert own_class("own_linked:A").value == 20.0


def test_two_folders_may_call_their_modules_alike(own, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "own_maps.py").write_text(MINE.replace("6 * HOUR_NS", "9 * HOUR_NS"))
    use = {"mine": {"use": "own_maps:Flat"}}
    windows = [parsed(folder, estimators=use).estimators["mine"] for folder in (own, other, own)]
    assert [config.params["window"] for config in windows] == ["6h", "9h", "6h"]


def test_every_parameter_of_ones_own_can_be_searched_over(own):
    write_small(own, "{mine: {use: 'own_maps:Flat'}, naive: {use: uniform}}")
    search = own / "s.yaml"
    search.write_text(
        "name: s\nexperiment: small.yaml\nvary:\n"
        "  estimators.mine.params.window: [6h, 12h]\n  estimators.mine.params.leverages: [[5]]\n"
    )
    asked = load_search(search).asked
    found = [one.experiment.estimators["mine"].params for one in asked]
    assert [(p["window"], p["leverages"]) for p in found] == [
        ("6h", [10.0, 25.0]), ("6h", [5.0]), ("12h", [5.0]),
    ]  # fmt: skip
    search.write_text(search.read_text().replace("window", "windw"))
    with pytest.raises(ConfigError, match="did you mean 'window'"):
        load_search(search)


def test_every_shared_default_stands_once():
    shared = MapParams()
    for name, kind in registered_estimators().items():
        params = kind.Params()
        for field in MapParams.__dataclass_fields__:
            assert getattr(params, field) == getattr(shared, field), name
