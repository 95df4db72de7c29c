"""The plain-words reading and the line: what they say, and what they must not."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from report_run import START_NS, FakeRun, make_run

from liqbt.errors import ConfigError
from liqbt.evaluation.claims.register import STATISTICS
from liqbt.report.figures.drawn import CHARTS
from liqbt.report.formatting import estimate, fixed, percent, price, usd
from liqbt.report.line import forecast_line, line, verdict_notes
from liqbt.report.narrative import (
    VERDICT_WORDS,
    headline,
    reading,
    rests_on,
    sentences,
    verdict_reasons,
)
from liqbt.report.scores import find, row_words
from liqbt.report.tables import level_table, nearest, sensitivity_table
from liqbt.types import HOUR_NS, Score, Side, Verdict, VerdictWord

NAN = float("nan")


@pytest.fixture(scope="module")
def run() -> FakeRun:
    return make_run(("BTCUSDT",), n=40)


def with_lift(run: FakeRun, word: VerdictWord, low: float, high: float) -> FakeRun:
    """The run with one mirror lift at 24 h, and its verdict."""

    def changed(score: Score) -> Score:
        if (score.statistic, score.horizon, score.side) != ("mirror_lift", "24h", "both"):
            return score
        return replace(score, value=(low + high) / 2, ci_low=low, ci_high=high, mde=0.034)

    scores = tuple(changed(s) for s in run.scores)
    rests = find(scores, "mirror_lift", "pooled", "24h")
    verdict = Verdict(claim="magnet", word=word, reason="Because.", score=rests)
    return replace(run, scores=scores, verdicts=(verdict,))


def primary(run: FakeRun) -> str:
    """The part of the 24 h reading that speaks of the mirror."""
    text = dict(reading(run))["24 h (primary)"]
    return text.split("Against mirror images")[1].split("Which side is reached first")[0]


def test_an_interval_with_zero_is_no_effect_and_names_what_could_not_be_seen(run: FakeRun) -> None:
    text = primary(with_lift(run, VerdictWord.WITHHELD, -0.02, 0.03))
    assert "+0.5 [−2.0, +3.0] points" in text
    assert (
        "contains zero: no effect found; effects below 3.4 points could not have been seen" in text
    )
    assert "above zero" not in text


@pytest.mark.parametrize("word", [w for w in VerdictWord if not w.supports])
def test_an_interval_above_zero_says_no_more_than_its_verdict(
    run: FakeRun, word: VerdictWord
) -> None:
    text = primary(with_lift(run, word, 0.01, 0.07))
    assert f"but the verdict is {word.value}: it is not to be read as a finding" in text
    assert "supported" not in text


def test_supported_is_said_only_of_a_supported_verdict_above_zero(run: FakeRun) -> None:
    assert "the verdict is supported" in primary(with_lift(run, VerdictWord.SUPPORTED, 0.01, 0.07))
    below = primary(with_lift(run, VerdictWord.SUPPORTED, -0.07, -0.01))
    assert "below zero, but the verdict is supported: it is not to be read as a finding" in below


def test_a_secondary_horizon_has_no_verdict(run: FakeRun) -> None:
    score = find(run.scores, "mirror_lift", "BTCUSDT", "4h")
    assert score is not None
    assert rests_on(score, None).startswith("no verdict rests on this row")


def test_zero_on_the_bound_is_no_effect(run: FakeRun) -> None:
    assert "no effect found" in primary(with_lift(run, VerdictWord.INCONCLUSIVE, 0.0, 0.05))


def test_refuted_is_explained(run: FakeRun) -> None:
    text = primary(with_lift(run, VerdictWord.REFUTED, -0.01, 0.01))
    assert "no effect found" in text
    assert "an effect of the smallest size of interest is excluded" in text


def test_no_interval_no_statement(run: FakeRun) -> None:
    known = with_lift(run, VerdictWord.WITHHELD, 0.01, 0.03)
    scores = tuple(
        replace(s, ci_low=NAN, ci_high=NAN) if s.statistic == "mirror_lift" else s
        for s in known.scores
    )
    text = primary(replace(known, scores=scores))
    assert "+2.0 [—] points. No interval could be had, so nothing can be said." in text
    unknown = with_lift(run, VerdictWord.WITHHELD, NAN, NAN)
    whole = dict(reading(unknown))["24 h (primary)"]
    assert "There is no comparison with mirror images" in whole


def test_a_lift_over_the_walk_alone_is_called_what_it_is(run: FakeRun) -> None:
    def changed(score: Score) -> Score:
        if (score.statistic, score.horizon) != ("brownian_lift", "24h"):
            return score
        return replace(score, value=0.05, ci_low=0.03, ci_high=0.07)

    calm = with_lift(run, VerdictWord.WITHHELD, -0.02, 0.03)
    text = primary(replace(calm, scores=tuple(changed(s) for s in calm.scores)))
    assert "it alone does not show an effect of clusters" in text
    assert "it alone does not show an effect of clusters" not in primary(
        replace(
            calm,
            scores=tuple(
                replace(s, ci_low=-1.0, ci_high=1.0) if s.statistic == "brownian_lift" else s
                for s in calm.scores
            ),
        )
    )


def test_headline_gives_the_null_and_the_verdicts(run: FakeRun) -> None:
    text = headline(run)
    hit = find(run.scores, "hit_rate", "BTCUSDT", "24h")
    assert hit is not None
    assert f"hit rate {percent(hit.value)} where a random walk gives {percent(hit.null)}" in text
    assert text.endswith("verdicts: magnet and direction withheld.")


def test_every_verdict_has_its_reason_once(run: FakeRun) -> None:
    lines = verdict_reasons(run).splitlines()
    for verdict in run.verdicts:
        assert any(verdict.claim in line and line.endswith(verdict.reason) for line in lines)
    assert len(lines) == len({(v.word, v.reason) for v in run.verdicts})
    assert verdict_reasons(replace(run, verdicts=())) == ""


def test_headline_without_the_primary_horizon_speaks_of_the_shortest(run: FakeRun) -> None:
    others = tuple(s for s in run.scores if s.horizon != "24h")
    shortest = find(others, "hit_rate", "BTCUSDT", "4h")
    assert shortest is not None
    text = headline(replace(run, scores=others))
    assert text.startswith("BTCUSDT, 4 h: ")
    assert f"hit rate {percent(shortest.value)} where" in text
    assert "24 h" not in text


def test_ties_are_read_both_ways_where_they_matter(run: FakeRun) -> None:
    skill = find(run.scores, "first_side_skill", "BTCUSDT", "24h")
    assert skill is not None
    bounds = tuple(
        replace(skill, statistic=f"first_side_skill_{end}", value=value)
        for end, value in (("low", -0.0123), ("high", 0.0211))
    )
    told = dict(reading(replace(run, scores=(*run.scores, *bounds))))["24 h (primary)"]
    assert told.endswith("read either way: −12.3 to +21.1 millinats.")
    same = tuple(replace(s, value=0.01) for s in bounds)
    silent = dict(reading(replace(run, scores=(*run.scores, *same))))["24 h (primary)"]
    assert "Ties" not in silent


def test_every_number_is_in_the_unit_of_its_statistic(run: FakeRun) -> None:
    skill = find(run.scores, "first_side_skill", "BTCUSDT", "24h")
    lift = find(run.scores, "mirror_lift", "BTCUSDT", "24h")
    assert skill is not None
    assert lift is not None
    rows = (
        replace(skill, value=0.02, ci_low=0.01, ci_high=0.03),
        replace(skill, statistic="first_side_skill_low"),
        replace(lift, value=0.02, ci_low=0.01, ci_high=0.03),
    )
    shown, _ = sensitivity_table(
        replace(run, scores=(), sensitivities=tuple({"name": "x", **asdict(s)} for s in rows))
    )
    assert [(row[0], row[3]) for row in shown.rows] == [
        ("First-side skill, millinats", "+20 [+10, +30]"),
        ("Lift over mirror, points", "+2.0 [+1.0, +3.0]"),
    ]
    interval = {"value": 0.5, "null": 0.45, "ci_low": 0.4, "ci_high": 0.6, "mde": 0.14}
    unknown = row_words(replace(lift, statistic="something_else", **interval))
    assert unknown.startswith("something else, BTCUSDT, 24 h: 0.50 [0.40, 0.60]; n ")
    rate = row_words(replace(lift, statistic="hit_rate", **interval))
    assert "Hit rate, BTCUSDT, 24 h: 50 [40, 60]%, null 45.0%; n " in rate


def test_every_verdict_word_is_explained() -> None:
    assert set(VERDICT_WORDS) == set(VerdictWord)


def test_line_word_for_word(run: FakeRun) -> None:
    forecast = replace(run.maps["BTCUSDT"][0], mark=100.0, sigma_1d=0.02, asymmetry=0.25)
    clusters = forecast.clusters[:2].copy()
    clusters["side"] = [Side.SHORT, Side.LONG]
    clusters["low"], clusters["high"] = [101.0, 97.0], [102.0, 98.0]
    clusters["notional_usd"] = [2.5e6, 1.25e9]
    forecast = replace(forecast, clusters=clusters, symbol="BTC\nUSDT")
    assert forecast_line(forecast, (), price_stand_in=None) == (
        "BTC?USDT 2025-10-01 01:00 UTC, mark 100.00; "
        "nearest above 101.00–102.00 (shorts, $2.50M, +1.0%, 0.50 σ); "
        "nearest below 97.000–98.000 (longs, $1.25B, −2.0%, 1.01 σ); "
        "crowded side longs (asymmetry +0.25 within 10%); "
        "cascade direction not tested"
    )


def test_line_and_level_table_say_the_chance_of_a_visit_and_that_of_a_random_level(run: FakeRun):
    forecast = run.maps["BTCUSDT"][0]
    chances = np.full((len(forecast.clusters), 2), np.nan)
    row = nearest(forecast, Side.SHORT)
    assert row is not None
    place = int(np.flatnonzero(forecast.clusters["low"] == row.cluster.low)[0])
    chances[place] = 0.314, 0.296
    text = forecast_line(forecast, (), price_stand_in=None, chances=chances)
    assert text.count("P(visit in 24 h) 31%, of a random level 30%") == text.count("P(visit") == 1
    table, note = level_table(forecast, "mark", chances)
    assert [r[-2:] for r in table.rows if "%" in r[-2]] == [("31%", "30%")]
    assert "needs no map" in note
    assert "No probability of a visit" in level_table(forecast, "mark")[1]


def test_line_and_level_table_say_how_sure_a_cluster_is_where_the_estimator_does(run: FakeRun):
    forecast = run.maps["BTCUSDT"][0]
    row = nearest(forecast, Side.SHORT)
    assert row is not None
    place = int(np.flatnonzero(forecast.clusters["low"] == row.cluster.low)[0])
    ends = np.full((len(forecast.clusters), 2), np.nan)
    ends[place] = 1.5e6, 2.5e7
    stated = replace(forecast, notional_interval=ends)
    text = forecast_line(stated, (), price_stand_in=None)
    assert text.count("[$1.50M to $25.0M]") == text.count("[") == 1
    table, note = level_table(stated, "mark")
    column = table.head.index("80 % interval")
    cells = [r[column] for i, r in enumerate(table.rows) if i not in table.strong]
    assert sorted(set(cells)) == ["$1.50M to $25.0M", "—"]
    assert len({len(r) for r in (table.head, *table.rows)}) == 1
    assert "it lies low" in note
    assert "80 % interval" not in level_table(forecast, "mark")[0].head


@pytest.mark.parametrize(
    ("asymmetry", "words"),
    [
        (0.25, "crowded side longs (asymmetry +0.25"),
        (-0.4, "crowded side shorts (asymmetry −0.40"),
        (0.0, "crowded side neither (asymmetry 0.00"),
    ],
)
def test_crowded_side(run: FakeRun, asymmetry: float, words: str) -> None:
    forecast = replace(run.maps["BTCUSDT"][0], asymmetry=asymmetry)
    assert words in forecast_line(forecast, (), price_stand_in=None)


def test_line_takes_the_last_forecast_at_or_before(run: FakeRun) -> None:
    third = START_NS + 3 * HOUR_NS
    assert "2025-10-01 03:00 UTC" in line(run, at=third)
    assert "2025-10-01 02:00 UTC" in line(run, at=third - 1)
    assert "2025-10-02 16:00 UTC" in line(run)


def test_line_of_every_market() -> None:
    both = make_run(n=5)
    lines = line(both).splitlines()
    assert [text.split()[0] for text in lines] == ["BTCUSDT", "ETHUSDT"]
    assert line(both, "ETHUSDT") == lines[1]


def test_line_errors_name_what_is_there(run: FakeRun) -> None:
    with pytest.raises(ConfigError, match="symbol SOLUSDT is not in this run, which has: BTCUSDT"):
        line(run, "SOLUSDT")
    with pytest.raises(ConfigError, match="2025-10-01 00:59 UTC: the first is 2025-10-01 01:00"):
        line(run, at=START_NS + 59 * 60 * 10**9)
    with pytest.raises(ConfigError, match="holds no forecast of BTCUSDT"):
        line(replace(run, maps={"BTCUSDT": []}))


def test_a_line_says_of_a_cascade_what_the_verdict_on_direction_allows() -> None:
    other = Verdict(claim="magnet", word=VerdictWord.SUPPORTED, reason="", score=None)
    assert verdict_notes((other,)) == ["cascade direction not tested"]
    verdict = Verdict(claim="direction", word=VerdictWord.INCONCLUSIVE, reason="", score=None)
    assert verdict_notes((other, verdict)) == ["cascade direction: verdict inconclusive"]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (999_499.0, "$999K"),
        (999_500.0, "$1.00M"),
        (0.4, "$0"),
        (12.0, "$12"),
        (-2.5e9, "−$2.50B"),
        (3.456e12, "$3.46T"),
        (1e15, "$1,000T"),
    ],
)
def test_usd_keeps_three_digits_across_its_units(amount: float, text: str) -> None:
    assert usd(amount) == text


def test_a_number_that_rounds_to_zero_has_no_sign() -> None:
    assert fixed(-0.004, 2, signed=True) == "0.00"
    assert percent(-0.0004, 1) == "0.0%"


def test_intervals_have_two_significant_digits_of_half_width() -> None:
    assert estimate(0.2345, 0.2012, 0.2678, scale=100) == "23.4 [20.1, 26.8]"
    assert estimate(0.2345, 0.0, 0.66, scale=100) == "23 [0, 66]"
    assert estimate(-0.00123, -0.0101, 0.0077, signed=True) == "−0.0012 [−0.0101, +0.0077]"
    assert estimate(0.5, 0.5, 0.5, scale=100) == "50.0 [50.0, 50.0]"
    assert estimate(NAN, NAN, NAN, scale=100) == "—"


def test_prices_from_coins_of_every_size() -> None:
    assert [price(p) for p in (1.234e-7, 0.051234, 9.9, 123456.7)] == [
        "0.00000012340",
        "0.051234",
        "9.9000",
        "123,457",
    ]


def test_what_statistics_ask_of_the_report_is_there() -> None:
    known = {one.id: one for one in STATISTICS}
    for one in STATISTICS:
        assert set(one.group.charts if one.group else ()) <= set(CHARTS)
        if one.reading is None:
            continue
        told = one.reading
        said = told.text.format(value="V", null="N", n="1", days="2")
        assert said.endswith(".")
        assert one.unit.signed or "N" in said or told.positive, "a rate stands beside its null"
        assert {*told.bounds, *filter(None, [told.weaker])} <= set(known)
        assert len(told.bounds) in {0, 2}
        assert bool(told.weaker) == ("{value}" in told.weaker_text)


def test_a_claim_that_is_new_is_told_by_its_label(run: FakeRun) -> None:
    hit = find(run.scores, "hit_rate", "BTCUSDT", "24h")
    assert hit is not None
    decides = replace(hit, statistic="near_jumps", value=0.02, null=0.0, mde=0.014)
    decides = replace(decides, ci_low=0.01, ci_high=0.03)
    plain = [replace(known, reading=None) for known in STATISTICS if known.id == decides.statistic]
    [told] = sentences(replace(run, scores=(decides,)), "BTCUSDT", "24h", plain)
    assert told.startswith(
        f"{plain[0].label}: +0.020 [+0.010, +0.030] σ a day. The interval lies above"
    )
    other = replace(decides, null=0.02)
    [told] = sentences(replace(run, scores=(other,)), "BTCUSDT", "24h", plain)
    assert "The interval contains +0.02 σ a day: no effect found" in told
