"""The strict schema: what people get wrong is answered in one sentence."""

from __future__ import annotations

import copy
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from liqbt.config.fields import duration_ns, format_duration, instant_ns
from liqbt.config.schema import EvaluationOptions, with_defaults
from liqbt.config.yaml import read_yaml
from liqbt.errors import ConfigError, DataError
from liqbt.gate.identity import Identity, flat_config, identity_differences
from liqbt.study.events import open_events
from liqbt.study.schema import (
    Experiment,
    configuration_identity,
    configuration_of,
    data_root,
    load_experiment,
    parse_experiment,
    with_estimator,
)
from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS, Instrument, Kind

GOOD: dict[str, Any] = {
    "name": "mine",
    "data": {"world": "w.yaml"},
    "symbols": {
        "BTC": {
            "events": {
                "mark": "v/BTC",
                "open_interest": "v/BTC",
                "liquidation_total": ["a/B", "b/B"],
            },
            "margin": {"tiers": "BTCUSDT"},
        }
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(GOOD)
    node = raw
    *parents, last = path.split(".")
    for part in parents:
        node = node.setdefault(part, {})
    node[last] = value
    return raw


def test_defaults_are_the_methods():
    experiment = parse_experiment(GOOD, Path("x.yaml"))
    assert experiment.schedule.every == HOUR_NS
    assert experiment.schedule.warm_up == 14 * DAY_NS
    assert experiment.evaluation.horizons == (4 * HOUR_NS, 24 * HOUR_NS, 7 * DAY_NS)
    assert experiment.evaluation.latency == MINUTE_NS
    brackets = experiment.estimators["oi_flow"].params["brackets"]
    assert [b["leverage"] for b in brackets] == [5, 10, 20, 50, 100]
    assert [b["weight"] for b in brackets] == [0.08, 0.22, 0.32, 0.25, 0.13]
    assert [b["half_life"] for b in brackets] == ["7d", "5d", "3d", "36h", "18h"]
    market = experiment.symbols["BTC"]
    assert market.price_kind == Kind.MARK
    assert market.events[Kind.LIQUIDATION_TOTAL] == (Instrument("a", "B"), Instrument("b", "B"))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("sede", 1, "unknown key 'sede'; did you mean 'seed'?"),
        (
            "evaluation.horizon",
            ["4h"],
            "unknown key 'evaluation.horizon'; did you mean 'horizons'?",
        ),
        ("estimator.bracket", [], "did you mean 'brackets'?"),
        ("symbols.BTC.margn", {}, "unknown key 'symbols.BTC.margn'; did you mean 'margin'?"),
        ("symbols.BTC.margin.tier", "X", "did you mean 'tiers'?"),
        ("symbols.BTC.events.marc", "v/B", "'marc' is not a kind of event; did you mean 'mark'?"),
        ("symbols.BTC.events.mark", "BTC", "'BTC' is not an instrument; write venue/symbol"),
        ("symbols.BTC.events.mark", ["a/b", "a/c"], "only liquidation_total may have several"),
        ("schedule.every", "1 hour", "'1 hour' is not a duration"),
        ("schedule.every", "0h", "key 'schedule.every': expected a value above 0, found '0h'"),
        ("schedule.start", "yesterday", "'yesterday' is not a time"),
        ("name", "../up", "'../up' cannot be a name"),
        ("seed", -1, "key 'seed'"),
        ("data.log", "also", "exactly one of"),
        ("evaluation.iou", 2, "key 'evaluation.iou'"),
        ("name", "registrations", "'registrations' is a folder that results/ has for itself"),
        ("name", "validity", "'validity' is a folder that results/ has for itself"),
        ("holdout.start", "2025-10-01", "key 'holdout.end' is missing"),
        ("holdout.begin", "2025-10-01", "unknown key 'holdout.begin'; known are: end, start"),
        (
            "holdout",
            {"start": "2025-10-01", "end": "2026-01-01", "ends": 1},
            "unknown key 'holdout.ends'; did you mean 'end'?",
        ),
    ],
)
def test_what_is_wrong_is_named(path, value, says):
    with pytest.raises(ConfigError) as caught:
        parse_experiment(changed(path, value), Path("x.yaml"))
    message = str(caught.value)
    assert message.startswith("x.yaml: ")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("2025-10-01T00:00", "2026-01-01", "key 'holdout.start': '2025-10-01T00:00' has no zone"),
        (datetime(2025, 10, 1), "2026-01-01", "'2025-10-01 00:00:00' has no zone"),
        ("2026-01-01", "2025-10-01", "key 'holdout': 'end' must lie after 'start'"),
        ("2025-10-01", "2025-10-01", "key 'holdout': 'end' must lie after 'start'"),
        ("2025-09-01", "2025-10-01", "x.yaml: 'holdout.start' must lie after 'schedule.start'"),
        ("2025-10-01", "2026-02-01", "x.yaml: 'holdout.end' must not lie after 'schedule.end'"),
    ],
)
def test_a_holdout_that_cannot_be_sealed_is_named(start, end, says):
    raw = changed("holdout", {"start": start, "end": end})
    raw["schedule"] = {"start": "2025-09-01", "end": "2026-01-31"}
    with pytest.raises(ConfigError) as caught:
        parse_experiment(raw, Path("x.yaml"))
    assert says in str(caught.value)


def test_a_holdout_cuts_what_is_read_and_stands_in_the_configuration_only_where_there_is_one():
    plain = parse_experiment(GOOD, Path("x.yaml"))
    assert "holdout" not in plain.model_dump(mode="json")
    assert plain.last is None
    raw = changed("holdout", {"start": date(2025, 10, 1), "end": "2026-01-01T01:00+01:00"})
    sealed = parse_experiment(raw, Path("x.yaml"))
    assert sealed.model_dump(mode="json")["holdout"] == {
        "start": "2025-10-01T00:00:00+00:00",
        "end": "2026-01-01T00:00:00+00:00",
    }
    assert sealed.last == instant_ns("2025-10-01")
    assert parse_experiment(sealed.model_dump(mode="json"), Path("x.yaml")) == sealed


def test_a_price_and_open_interest_are_needed():
    raw = changed("symbols.BTC.events", {"open_interest": "v/B"})
    with pytest.raises(ConfigError, match="names no price"):
        parse_experiment(raw, Path("x.yaml"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [1]\nb: *x\n", "aliases are not allowed"),
        ("a: 1\na: 2\n", "key 'a' is given twice"),
        ("a: !!python/object:os.system x\n", "not valid YAML"),
        ("- 1\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("a: [1\n", "not valid YAML at line"),
        ("? [1]\n: 2\n", "a key must be a plain word"),
        ("a: " + "[" * 3000, "not valid YAML"),
        ("a: " + ":".join(["59"] * 300) + ".5", "not valid YAML"),
    ],
)
def test_hostile_yaml_is_one_sentence(tmp_path, text, says):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_yaml(path)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_yaml(tmp_path / "b.yaml")


def test_durations_are_read_in_every_spelling_and_written_in_one():
    for text in ("5m", "5min", "300s", "300000ms"):
        assert format_duration(duration_ns(text)) == "5min"


@pytest.mark.parametrize("text", ["30s", "1min", "5min", "4h", "24h", "36h", "7d", "90s"])
def test_durations_are_written_as_they_are_read(text):
    assert format_duration(duration_ns(text)) == text


def test_horizons_may_be_named_in_any_order():
    found = EvaluationOptions.model_validate({"horizons": ["24h", "12h", "1d"]})
    assert found.horizons == (12 * HOUR_NS, DAY_NS)


def test_an_own_estimator_overrides_the_keys_that_it_states_and_no_others():
    raw = changed("symbols.BTC.estimator", {"reach": 0.5})
    raw["symbols"]["ETH"] = copy.deepcopy(GOOD["symbols"]["BTC"])
    raw["estimator"] = {"name": "uniform", "prominence": 0.3, "reach": 0.8}
    experiment = parse_experiment(raw, Path("x.yaml"))
    own, shared = (experiment.estimators_of(symbol)["uniform"] for symbol in ("BTC", "ETH"))
    assert (own.use, own.params["prominence"], own.params["reach"]) == ("uniform", 0.3, 0.5)
    assert shared == experiment.estimators["uniform"]
    written = experiment.model_dump(mode="json")
    assert written["symbols"]["BTC"]["estimators"]["uniform"]["params"] == {"reach": 0.5}
    assert parse_experiment(written, Path("x.yaml")) == experiment
    (renamed,) = with_estimator(experiment, "mirror").estimators_of("BTC").values()
    assert (renamed.use, renamed.params["reach"]) == ("mirror", 0.5)
    raw["symbols"]["BTC"]["estimator"] = {"sigma_sampling": "1s"}
    raw["estimator"] = {"sigma_window": "30d"}
    with pytest.raises(ConfigError, match=r"symbols\.BTC.*'sigma_window' holds 2592000"):
        parse_experiment(raw, Path("x.yaml"))


class Wider(EvaluationOptions):
    """The options with a key that they do not have yet."""

    new_key: int = 3


class WiderExperiment(Experiment):
    """An experiment of a later version."""

    evaluation: Wider = Wider()


def test_a_key_that_is_added_with_a_default_changes_no_identity():
    raw = changed("evaluation.iou", 0.4)
    older, newer = Experiment.model_validate(raw), WiderExperiment.model_validate(raw)
    assert "new_key" in configuration_of(newer)["evaluation"]  # shown
    assert configuration_identity(newer) == configuration_identity(older)  # and not counted
    stated = WiderExperiment.model_validate(changed("evaluation.new_key", 3))
    plain = Experiment.model_validate(GOOD)
    assert configuration_identity(stated) == configuration_identity(plain)
    other = WiderExperiment.model_validate(changed("evaluation.new_key", 4))
    assert configuration_identity(other) != configuration_identity(plain)
    assert configuration_identity(older) != configuration_identity(plain)


def test_what_a_default_means_is_part_of_the_identity(monkeypatch):
    plain = Experiment.model_validate(GOOD)
    before = configuration_identity(plain)
    monkeypatch.setattr("liqbt.study.schema.SCHEMA_VERSION", 1_000)
    assert configuration_identity(plain) != before


def test_where_the_data_lie_is_no_part_of_the_identity():
    one, two = (
        Experiment.model_validate(changed("data", {"log": name, "root": name}))
        for name in ("a", "b")
    )
    assert configuration_identity(one) == configuration_identity(two)


def test_an_older_configuration_is_compared_as_if_it_had_the_new_keys_at_their_defaults():
    older = configuration_of(Experiment.model_validate(GOOD))
    newer = configuration_of(WiderExperiment.model_validate(GOOD))
    assert with_defaults(older, WiderExperiment)["evaluation"] == newer["evaluation"]
    flat = [flat_config(config, WiderExperiment) for config in (older, newer)]
    assert flat[0] == flat[1]
    assert flat[0]["evaluation.new_key"] == 3
    changed_key = configuration_of(WiderExperiment.model_validate(changed("evaluation.new_key", 4)))
    assert flat_config(changed_key, WiderExperiment) != flat[0]
    older["evaluation"]["gone"] = 1  # a key that is not known any more stays, and is a difference
    assert flat_config(older, WiderExperiment)["evaluation.gone"] == 1


def test_an_own_estimator_is_compared_with_what_holds_where_there_is_none():
    plain = flat_config(configuration_of(parse_experiment(GOOD, Path("x.yaml"))))
    raw = changed("symbols.BTC.estimator", {"reach": 0.5, "step": 5e-4})
    own = flat_config(configuration_of(parse_experiment(raw, Path("x.yaml"))))
    of = {"tape": {}, "estimators": {}, "versions": {}, "code": "c", "lock": "l"}
    (found,) = identity_differences(Identity(config=plain, **of), Identity(config=own, **of))
    assert (found.name, found.base, found.new) == (
        "symbols.BTC.estimators.oi_flow.params.reach",
        0.92,
        0.5,
    )
    assert not found.comparable


def test_the_environment_stands_in_for_a_relative_data_root_alone(monkeypatch, tmp_path):
    here = tmp_path / "x.yaml"
    relative, absolute = (
        Experiment.model_validate(changed("data", {"log": "l", "root": root}))
        for root in ("files", str(tmp_path / "own"))
    )
    monkeypatch.delenv("LIQBT_DATA", raising=False)
    assert data_root(relative, here) == tmp_path / "files"
    monkeypatch.setenv("LIQBT_DATA", str(tmp_path / "elsewhere"))
    assert data_root(relative, here) == tmp_path / "elsewhere"
    assert data_root(absolute, here) == tmp_path / "own"


def test_a_run_says_where_its_data_come_from_where_that_is_not_its_own_root(monkeypatch, tmp_path):
    sources = [{"format": "okx/swap-liquidations", "files": ["none.csv"]}]
    raw = changed("data", {"sources": sources, "root": "files"})
    said: list[tuple[str, int]] = []
    for folder in ("files", "elsewhere"):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv("LIQBT_DATA", str(tmp_path / folder))
        with pytest.raises(DataError, match=f"{folder}/none.csv: no such file"):
            open_events(
                Experiment.model_validate(raw),
                tmp_path / "x.yaml",
                tmp_path / "cache",
                lambda stage, _done, total: said.append((stage, total)),
            )
    root = tmp_path / "elsewhere"
    assert said == [(f"LIQBT_DATA: data from {root}, not from data.root 'files'", 0)]


def test_every_shipped_experiment_is_valid(root):
    paths = sorted((root / "experiments").glob("*.yaml"))
    assert {p.stem for p in paths} >= {"btc-2025-12", "hyperliquid-2025", "panel-2025-12"}
    for path in paths:
        assert load_experiment(path).name == path.stem
