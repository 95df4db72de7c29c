"""Column maps: what is understood, and how what is not is refused."""

from __future__ import annotations

import copy

import pytest
import yaml

from liqbt.errors import ConfigError
from liqbt.ingest.colmap import load_map, parse_map
from liqbt.ingest.expressions import evaluate, parse_expression
from liqbt.types import DAY_NS, Kind

TRADE = {
    "time": {"column": "t", "unit": "ms"},
    "stamp": "instant",
    "feed": "pushed",
    "latency": "1s",
    "venue": "v",
    "symbol": "BTC",
    "emit": [{"kind": "trade", "fields": {"price": "px", "size_coins": "sz"}}],
}
BAR = {
    **TRADE,
    "stamp": "open",
    "span": "1h",
    "emit": [{"kind": "bar", "fields": {"open": "o", "high": "h", "low": "l", "close": "c"}}],
}


def changed(base, **changes):
    value = copy.deepcopy(base)
    for key, new in changes.items():
        if new is None:
            value.pop(key)
        else:
            value[key] = new
    return value


def emitting(kind, fields, **more):
    return [{"kind": kind, "fields": fields, **more}]


POINT = emitting("mark", {"price": "px"})
OHLC = {"open": "o", "high": "h", "low": "l", "close": "c"}
LIQUIDATION = emitting("liquidation", {"price": "px", "size_coins": "sz"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (changed(TRADE, feeed="pushed"), r"m.yaml: unknown key 'feeed'; did you mean 'feed'\?"),
        (changed(TRADE, zebra=1), "unknown key 'zebra'; known are"),
        (changed(TRADE, time=None), "key 'time' is missing"),
        (changed(TRADE, emit=None), "key 'emit' is missing"),
        (changed(TRADE, emit=[]), "key 'emit': expected a list"),
        (changed(TRADE, emit={}), "key 'emit': expected a list"),
        (changed(TRADE, venue=None), r"key 'emit\.0\.venue' is missing"),
        (changed(TRADE, venue=5), "key 'venue.constant': expected text"),
        (
            changed(TRADE, time={"column": "t", "unit": "msec"}),
            "'msec' is none of .*did you mean 'ms'",
        ),
        (changed(TRADE, time={"column": "t", "unit": "iso", "zone": "Mars"}), "no IANA time zone"),
        (changed(TRADE, time={"column": "t", "unit": "iso", "zone": "../x"}), "no IANA time zone"),
        (
            changed(TRADE, time={"column": "t", "unit": "s", "zone": "Asia/Tokyo"}),
            "UTC by definition",
        ),
        (changed(TRADE, stamp="close"), "a bucket stamped close needs a span"),
        (changed(TRADE, span="1h"), "an instant has none"),
        (
            changed(BAR, span="1 hour"),
            "'1 hour' is not a duration; write one such as 60s",
        ),
        (changed(BAR, span="500ms"), "needs a span of whole seconds"),
        (changed(BAR, stamp="instant", span=None), "a bar needs stamp: open or close"),
        (changed(BAR, emit=TRADE["emit"]), "a trade needs stamp: instant"),
        (changed(BAR, emit=POINT), "one price is a point: stamp must be instant"),
        (changed(TRADE, emit=emitting("mark", OHLC)), "a mark at an instant has one field, price"),
        (changed(TRADE, latency=None), "key 'latency' is missing: when is a row known"),
        (changed(TRADE, latency="0s"), "0 must be observed"),
        (changed(TRADE, latency=60), "key 'latency': '60' is not a duration"),
        (changed(TRADE, feed="polled", latency="59s"), "a polled feed needs at least 60s"),
        (changed(TRADE, feed="polled", received={"column": "r"}), "no place for latency"),
        (changed(TRADE, feed=None), "key 'emit.0.feed' is missing"),
        (
            changed(TRADE, emit=emitting("trades", {})),
            "not a kind of event; did you mean 'trade'",
        ),
        (changed(TRADE, emit=emitting("trade", {"price": "px"})), "key 'size_coins' is missing"),
        (
            changed(TRADE, emit=emitting("trade", {"price": "px", "size": "sz"})),
            "unknown key 'size'; did you mean 'size_coins'",
        ),
        (changed(TRADE, emit=LIQUIDATION), "a liquidation needs key 'side'"),
        (
            changed(TRADE, emit=LIQUIDATION, side={"column": "s", "means": "taker"}),
            "the side of a liquidation is order_side or position_side, not taker",
        ),
        (
            changed(TRADE, side={"column": "s", "means": "order_side"}),
            "the side of a trade is taker, not order_side",
        ),
        (
            changed(TRADE, side={"column": "s", "means": "taker", "values": {"B": "long"}}),
            r"values.B: 'long' is none of \['buy', 'none', 'sell'\]",
        ),
        (changed(TRADE, symbol={"column": "a", "file_name": "(b)"}), "one of column and file_name"),
        (changed(TRADE, symbol={"file_name": "abc"}), "needs one group"),
        (changed(TRADE, symbol={"file_name": "(abc"}), "is no pattern"),
        (
            changed(TRADE, symbol={"column": "a", "rename": [1]}),
            "key 'symbol.rename': expected names",
        ),
        (changed(TRADE, where=["a"]), "key 'where': expected names and values"),
        (changed(TRADE, where={"a": {"b": 1}}), "key 'where.a': expected a value"),
        (changed(TRADE, where={"a": []}), "key 'where.a': expected a value"),
        (changed(TRADE, units={"px": "percents"}), "did you mean 'percent'"),
        (changed(TRADE, units={"px": 0}), "expected a number other than 0"),
        (changed(TRADE, constants={"k": "x"}), "key 'constants.k.number': expected a number"),
        (changed(TRADE, constants={"k": True}), "key 'constants.k.number': expected a number"),
        (changed(TRADE, constants={"k": {"column": "c"}}), "a number, or 'column' and 'values'"),
        (changed(TRADE, constants={"k": {"column": "c", "values": {}}}), "values"),
        (changed(TRADE, constants={"k": {"number": 2, "column": "c"}}), "a number, or 'column'"),
        (
            changed(TRADE, derive={"a": "b + 1", "b": "px"}),
            "derive.a uses 'b' before it is defined",
        ),
        (changed(TRADE, derive={"a": "a + 1"}), "derive.a uses 'a' before it is defined"),
        (changed(TRADE, derive={"a": "px"}, constants={"a": 1}), "'a' is defined twice"),
        (changed(TRADE, derive={"a": "px"}, units={"a": "percent"}), "only columns of the file"),
        (changed(TRADE, derive={"a": "px ** 2"}), "may hold columns, numbers"),
        (changed(TRADE, derive={"a": "__import__('os')"}), "may hold columns, numbers"),
        (changed(TRADE, derive={"a": "px if px else 1"}), "may hold columns, numbers"),
        (changed(TRADE, derive={"a": "'x'"}), "may hold columns, numbers"),
        (changed(TRADE, derive={"a": "True"}), "may hold columns, numbers"),
        (changed(TRADE, derive={"a": "px +"}), "is not arithmetic over columns"),
        (changed(TRADE, derive={"a": "px.real"}), "may hold columns, numbers"),
        (changed(TRADE, derive={"a": "-" * 100 + "px"}), "nested too deeply"),
        (changed(TRADE, derive={"a": "1+" * 300 + "1"}), "at most 500 characters"),
        (changed(TRADE, derive={"a": None}), "expected a column or arithmetic"),
        (changed(TRADE, derive=[1]), "key 'derive': expected names and values"),
        (changed(TRADE, csv={"delimiter": ";;"}), "one character"),
        (changed(TRADE, csv={"columns": ["a", "a"]}), "a list of different names"),
        (changed(TRADE, price_is="magic"), "'magic' is none of"),
        (changed(TRADE, name=5), "key 'name': expected text"),
        (changed(TRADE, id=5), "key 'id': expected text"),
    ],
)
def test_what_is_not_understood_is_refused_and_named(value, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_map(value, "m.yaml")
    assert "m.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


JOIN = {
    "file": "b.csv",
    "time": {"column": "t", "unit": "ms"},
    "stamp": "open",
    "span": "1h",
    "latency": "60s",
    "columns": {"typical": "(h + l + c) / 3"},
}


@pytest.mark.parametrize(
    ("join", "message"),
    [
        ({**JOIN, "file": "../b.csv"}, "must lie below the data root"),
        ({**JOIN, "file": "/etc/passwd"}, "must lie below the data root"),
        ({**JOIN, "file": "..\\b.csv"}, "must lie below the data root"),
        ({**JOIN, "unmatched": "drop"}, "'drop' is none of"),
        ({**JOIN, "match": ["coin"]}, "key 'join.match': expected names and values"),
        ({**JOIN, "on": {"coin": "coin"}}, "unknown key 'join.on'"),
        ({k: v for k, v in JOIN.items() if k != "latency"}, "key 'join.latency' is missing"),
    ],
)
def test_a_join_is_checked(join, message):
    with pytest.raises(ConfigError, match=message):
        parse_map(changed(TRADE, join=join), "m.yaml")


def test_what_a_map_says_is_kept():
    parsed = parse_map(
        changed(
            TRADE,
            feed="polled",
            latency="2s",
            latency_is="observed",
            units={"px": "thousand"},
            side={"column": "m", "means": "taker", "values": {True: "sell", False: "buy"}},
        ),
        "m.yaml",
        default_name="mine",
    )
    (emit,) = parsed.emit
    assert (parsed.name, emit.kind) == ("mine", Kind.TRADE)
    assert (emit.latency, emit.observed) == (2_000_000_000, True)
    assert emit.side.words == {"true": "sell", "false": "buy"}
    assert parsed.units == {"px": 1000.0}


def test_an_emitted_event_may_have_its_own_arrival():
    emit = [
        {**TRADE["emit"][0]},
        {**TRADE["emit"][0], "latency": "5s"},
        {**TRADE["emit"][0], "received": {"column": "r", "unit": "us"}},
        {**TRADE["emit"][0], "feed": "polled", "latency": "90s"},
    ]
    arrivals = parse_map(changed(TRADE, emit=emit), "m").emit
    assert [a.latency // 10**9 for a in arrivals] == [1, 5, 0, 90]
    assert [a.observed for a in arrivals] == [False, False, True, False]
    with pytest.raises(ConfigError, match="at least 60s"):
        parse_map(changed(TRADE, emit=[{**TRADE["emit"][0], "feed": "polled"}]), "m")


def test_durations_are_written_as_anywhere_else():
    for text in ("5m", "5min", "300s", "300000ms"):
        assert parse_map(changed(BAR, span=text), "m").span == 300 * 10**9
    assert parse_map(changed(TRADE, feed="polled", latency="7d"), "m").emit[0].latency == 7 * DAY_NS


def test_the_digest_is_of_the_content(tmp_path):
    one, two = tmp_path / "a.yaml", tmp_path / "b.yaml"
    one.write_text("# comment\n" + yaml.safe_dump(TRADE))
    two.write_text(yaml.safe_dump(TRADE, default_flow_style=True))
    assert load_map(one).sha256 == load_map(two).sha256
    two.write_text(yaml.safe_dump(changed(TRADE, latency="2s")))
    assert load_map(one).sha256 != load_map(two).sha256
    assert load_map(one).name == "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping"),
        ("- 1", "expected a mapping"),
        ("a: [", "line 1"),
        ("a: 1\na: 2", "line 2: key 'a' is given twice"),
        ("a: &x [1]\nb: *x", "line 2: aliases are not allowed"),
        ("a: !!python/object/apply:os.system ['true']", "tags are not allowed"),
        ("? [1, 2]\n: 3", "a key must be a plain word"),
        ("<<: {a: 1}", "unknown key|could not|key"),
        ("\x00", "special characters|not allowed|unacceptable"),
        ("a" * (1 << 21), "at most 1 MiB"),
        ("[" * 3000, "not valid YAML"),
    ],
)
def test_hostile_yaml_is_one_sentence(tmp_path, text, message):
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_map(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_map_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_map(tmp_path / "none.yaml")
    (tmp_path / "m.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_map(tmp_path / "m.yaml")


def test_words_that_old_yaml_takes_for_truth_are_words(tmp_path):
    path = tmp_path / "m.yaml"
    text = yaml.safe_dump(changed(TRADE, symbol=None))
    path.write_text(text + "symbol: NO\nname: 2026-01-01\nwhere: {on: yes}\n")
    parsed = load_map(path)
    assert parsed.emit[0].symbol.constant == "NO"
    assert parsed.name == "2026-01-01"
    assert parsed.where == {"on": ("yes",)}


def test_every_shipped_map_can_be_read(root):
    maps = sorted((root / "experiments" / "sources").glob("*.yaml"))
    assert len(maps) >= 11
    for path in maps:
        parsed = load_map(path)
        assert parsed.name == path.stem
        for emit in parsed.emit:
            assert not emit.observed
            assert emit.latency >= (60 if emit.feed == "polled" else 1) * 10**9


def test_the_worked_example_of_the_readme_can_be_read(root):
    text = (root / "experiments" / "sources" / "README.md").read_text()
    block = text.split("```yaml\n")[1].split("```")[0]
    parsed = parse_map(yaml.safe_load(block), "README")
    assert parsed.emit[0].observed


def test_a_number_is_an_expression_and_names_may_be_quoted():
    assert float(evaluate(parse_expression(8), {})) == 8.0
    quoted = parse_expression("`a b` / (2 * `c`)")
    assert quoted.names == ("a b", "c")
    assert float(evaluate(quoted, {"a b": 6.0, "c": 1.5})) == 2.0
