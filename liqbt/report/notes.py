"""The page's fixed words: definitions, limits, and what is true of this run alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from liqbt.report import formatting as fmt
from liqbt.report.tables import Table
from liqbt.watch import Sighting

if TYPE_CHECKING:
    from liqbt.study.store import Run


def _configured(run: Run, key: str, otherwise: str) -> str:
    """Return an evaluation setting as text, or words where the run does not state it."""
    evaluation = run.config.get("evaluation") or {}
    value = evaluation.get(key)
    return otherwise if value is None else fmt.one_line(str(value))


def definitions(run: Run) -> list[tuple[str, str]]:
    """Return the terms that the page uses, with this run's settings in them."""
    floor = _configured(run, "distance_floor", "a configured floor of")
    ceiling = _configured(run, "distance_ceiling", "a configured ceiling of")
    latency = _configured(run, "latency", "the configured latency")
    overlap = _configured(run, "iou", "the configured share")
    worth = (
        "Independent markets",
        "How many markets whose errors have nothing to do with each other a pooled row is worth: "
        "the number of markets, times the sum of their variances over the variance of their sum, "
        "by day. It has an error of its own, and exceeds the number where errors offset.",
    )
    return [
        *([worth] if run.pooling else []),
        (
            "Level, cluster",
            "A level is a price with estimated notional that would be force-closed there; a "
            "cluster is a band [low, high) of dense levels. Longs lie below the "
            "price, shorts above.",
        ),
        (
            "Distance",
            "From the mark at issue to the cluster's near edge, as |ln(edge / mark)|, in units of "
            "σ_h = σ·√h with σ from past returns only.",
        ),
        (
            "Eligible",
            f"Near edge beyond the price, {floor} to {ceiling} σ_h away.",
        ),
        (
            "Visit",
            "The price touches the near edge within the horizon, watched from the first full bar "
            f"or point after issue plus latency ({latency}). A price already inside is never "
            "a hit.",
        ),
        (
            "Episode",
            "Successive clusters of one side that overlap (intersection over union at least "
            f"{overlap}) are one, with one outcome, counted from birth.",
        ),
        (
            "Null",
            "What no information would have scored: the chance that a driftless random walk of the "
            "same volatility touches the same level in the time actually watched.",
        ),
        (
            "Mirror",
            "The same cluster reflected to the other side of the price at the same distance, over "
            "the same time.",
        ),
        (
            "Lift",
            "The mean of visited minus null, or of visited minus mirror visited, in percentage "
            "points. Zero means that clusters tell nothing.",
        ),
        (
            "First-side skill",
            "How much better than a two-barrier random walk the asymmetry foretells which nearest "
            "cluster is reached first, in millinats a landmark.",
        ),
        (
            "Millinat",
            "A thousandth of a nat of the logarithmic score: a mean gain of 1 millinat multiplies "
            "the probability of what came to pass by 1.001.",
        ),
        (
            "Asymmetry",
            "(longs below − shorts above) / (longs below + shorts above) of estimated notional "
            "within a stated reach; positive: more longs below.",
        ),
        (
            "Density rank",
            "Share of the bins of the same forecast, side and distance band that are no denser.",
        ),
        (
            "Interval",
            "95%, by day: neighbouring episodes share one price path, so days and not episodes are "
            "what repeats.",
        ),
        (
            "Detectable effect",
            "The smallest true effect that such a run would find four times in five: 2.8 standard "
            "errors.",
        ),
        (
            "Censored",
            "The window runs into the end of the data or a gap; left out whether or not a visit "
            "came first.",
        ),
    ]


def data_doubts(run: Run) -> list[str]:
    """Return what of a run's data cannot be what it is said to be, by market."""
    markets: Mapping[str, Mapping[str, Any]] = run.manifest["symbols"]
    return [
        f"{fmt.one_line(symbol)}: {fmt.one_line(str(found['text']), 400)}"
        for symbol, market in markets.items()
        for found in market.get("plausibility", ())
    ]


def estimator_doubts(run: Run) -> list[str]:
    """Return what estimators reached for besides their events, and what that leaves unknown."""
    return [
        f"estimator {fmt.one_line(one.estimator)} {fmt.one_line(one.text(), 200)}: "
        + (
            "its class names that, and what it holds was not looked at"
            if one.declared
            else "no audit sees what that told it of the future"
        )
        for one in (Sighting(**row) for row in run.manifest.get("reached", ()))
    ]


def limits(run: Run) -> list[str]:
    """Return what the page must not be used for, with what is special about this run first."""
    markets: Mapping[str, Mapping[str, Any]] = run.manifest["symbols"]
    out = []
    if run.manifest.get("simulated"):
        out.append("The market is simulated: nothing here is about a real one.")
    out += [f"Data of {sentence}." for sentence in data_doubts(run)]
    out += [f"The {sentence}." for sentence in estimator_doubts(run)]
    if any(market.get("price_stand_in") for market in markets.values()):
        out.append(
            "No mark price was at hand for every market: venues liquidate on the mark, so touches "
            "and consumption are measured on a price that can differ from it."
        )
    if any(row["is"] == "modelled" for m in markets.values() for row in m.get("latency", ())):
        out.append(
            "When a live reader would have known an event is modelled, not observed, where "
            "marked so."
        )
    if not run.manifest.get("published"):
        out.append(
            "The map is an estimate, not observed positions: entries and leverage are assumed, and "
            "positions that were open at the start are unknown and are not placed."
        )
    assumed: Mapping[str, list[str]] = run.manifest.get("assumed", {})
    for symbol, words in assumed.items():
        out += [f"{fmt.one_line(symbol)}: {fmt.one_line(sentence, 200)}." for sentence in words]
    needs: Mapping[str, list[str]] = run.manifest.get("needs", {})
    if needs:
        told = (
            f"{fmt.one_line(name, 40)} {fmt.list_words(kinds).replace('_', ' ')}"
            for name, kinds in needs.items()
        )
        out.append(
            "All estimators are scored from one start, when everything that any of them needs is "
            f"known ({'; '.join(told)}): alone, one may be scored from an earlier "
            "day on, with other figures."
        )
    return [
        *out,
        "A hit rate means nothing without its null: any level near the price is usually reached.",
        "The random walk errs with volatility; the mirror errs when prices trend, and is itself "
        "dense where the map is two-sided, which hides part of an effect.",
        "Not for placing stops, choosing leverage or sizing a position, and not evidence of "
        "profit: no cost, fill or slippage is modelled. It speaks of the markets and "
        "the time shown.",
    ]


def estimator(run: Run) -> str:
    """Return the names of the estimators that made the maps, and what they use."""
    markets = (run.config.get("symbols") or {}).values()
    tables = [run.config.get("estimators"), *((m or {}).get("estimators") for m in markets)]
    uses = [(str(name), (one or {}).get("use")) for t in tables for name, one in (t or {}).items()]
    told = [name if use in (None, name) else f"{name} ({use})" for name, use in uses]
    return ", ".join(fmt.one_line(each) for each in dict.fromkeys(told)) or fmt.DASH


def price_words(market: Mapping[str, Any]) -> str:
    """Return which price was used, and what stands in for the mark where there is none."""
    price = fmt.one_line(str(market.get("price", fmt.DASH)), 200)
    stand_in = market.get("price_stand_in")
    if stand_in is None:
        return f"{price}."
    instead = fmt.one_line(str(stand_in), 200)
    return f"{price}. In place of the mark, which this run lacks: {instead}."


def planted_words(stated: Mapping[str, Any]) -> tuple[str, str]:
    """Return a simulated market by name, and the strengths of what was planted; "" for nothing.

    Of what a manifest says was planted, `world` and `seed` name the market; every other entry is
    the strength of a mechanism.

    Examples
    --------
    >>> planted_words({"world": "magnet", "seed": 7, "magnet": 1.0, "fuel": 0.0})
    ('Simulated market (world magnet, seed 7)', 'magnet 1')
    """
    rest = dict(stated)
    named = [f"{k} {fmt.one_line(str(rest.pop(k)))}" for k in ("world", "seed") if k in rest]
    market = "Simulated market" + (f" ({', '.join(named)})" if named else "")
    planted = {str(k): v for k, v in rest.items() if isinstance(v, int | float) and v}
    return market, ", ".join(f"{fmt.one_line(k)} {v:g}" for k, v in planted.items())


def planted_truth(run: Run) -> str | None:
    """Return what is known to be true of a simulated market, or None for a real one."""
    if not run.manifest.get("simulated"):
        return None
    market, shown = planted_words(run.manifest.get("planted") or {})
    if not shown:
        return f"{market}, nothing planted: the true effect is zero, any lift here is chance."
    return (
        f"{market} with a planted effect: {shown} (a setting of the simulator, not the size of the "
        "effect). A test that finds none here has missed it."
    )


def period(market: Mapping[str, Any]) -> str:
    """Return the first and last event of a market, as days."""
    first, last = (fmt.one_line(str(market.get(key, fmt.DASH)))[:10] for key in ("first", "last"))
    return f"{first} to {last}"


def command(run: Run) -> str:
    """Return the command that makes the run again."""
    stated = run.manifest.get("command")
    if stated:
        return fmt.one_line(str(stated), 400)
    return f"liqbt run {fmt.one_line(str(run.manifest['experiment']))}.yaml"


def completeness_table(market: Mapping[str, Any]) -> Table:
    """Return events, gaps and missing share of each periodic feed, and the count of the others."""
    gaps = list(market.get("gaps", ()))
    periodic = {str(gap["kind"]) for gap in gaps}
    rows = [_gap_row(gap, market["events"]) for gap in gaps]
    rows += [
        (_kind_words(kind), fmt.DASH, fmt.count(int(n)), *[fmt.DASH] * 4)
        for kind, n in market["events"].items()
        if str(kind) not in periodic
    ]
    return Table(
        head=("Kind", "Feed", "Events", "Usual spacing", "Gaps", "Longest gap", "Missing time"),
        rows=tuple(rows),
        text_columns=2,
        source="manifest.json symbols",
    )


def _gap_row(gap: Mapping[str, Any], events: Mapping[str, Any]) -> tuple[str, ...]:
    n = gap["n"] if "n" in gap else events.get(gap["kind"])
    return (
        _kind_words(gap["kind"]),
        fmt.one_line(str(gap.get("instrument", fmt.DASH))),
        fmt.count(_number(n)),
        fmt.duration(_number(gap.get("typical_spacing_s"))),
        fmt.count(_number(gap["n_gaps"])),
        fmt.duration(_number(gap["longest_s"])),
        fmt.percent(_number(gap["missing_share"]), 2),
    )


def _kind_words(kind: object) -> str:
    return fmt.one_line(str(kind)).replace("_", " ")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def latency_table(market: Mapping[str, Any]) -> Table:
    """Return how late each feed is taken to be known, and whether that was modelled or observed."""
    return Table(
        head=("Feed", "Kind", "Known after", "That is"),
        rows=tuple(
            (
                fmt.one_line(str(row["instrument"])),
                _kind_words(row["kind"]),
                fmt.duration(_number(row["latency_s"])),
                fmt.one_line(str(row["is"])),
            )
            for row in market.get("latency", ())
        ),
        text_columns=4,
        source="manifest.json symbols",
    )


_PARTS: Final = {
    "configuration": "the configuration",
    "code": "the code",
    "lock": "the dependencies",
    "claims": "the claims",
    "tape": "the events",
}


def registration_sentences(run: Run) -> list[str]:
    """Return whether a run was registered, what it deviates in, and what is sealed.

    Published levels have no experiment that could be registered: of them only a seal is told.
    """
    manifest = run.manifest
    registration, holdout = manifest.get("registration"), manifest.get("holdout")
    told = [_sealed(holdout, registration or {})] if holdout else []
    told += [_read(seal) for seal in manifest.get("reads_sealed", ())]
    if manifest.get("published"):
        return told
    if registration is None:
        return [
            *told,
            "This run is not registered: nothing dated says that its configuration was chosen "
            "before its result was seen.",
        ]
    standing = _standing(registration, manifest.get("forward"))
    told += [standing, _before(registration["before"])]
    if "opening" not in registration:
        told += _unsealed(int(registration["unsealed"]))
    return [fmt.one_line(text, 900) for text in told]


def _standing(registration: Mapping[str, Any], forward: Mapping[str, Any] | None) -> str:
    named = f"{registration['hash']} of {registration['date']}"
    if "opening" in registration:
        return (
            f"Its configuration, code, dependencies and claims are those of registration {named}."
        )
    if forward is not None and set(registration["deviations"]) <= {"tape"}:
        return (
            f"Registered {registration['date']}, {registration['hash']}, and recorded forward "
            f"from {forward['start']}: its events go on beyond those of that date; nothing else "
            "deviates."
        )
    parts = [_PARTS.get(str(part), str(part)) for part in registration["deviations"]]
    if not parts:
        return f"Registered {registration['date']}, {registration['hash']}: nothing deviates."
    return (
        f"This run deviates from registration {named} in {fmt.list_words(parts)}: it is not "
        "what was registered."
    )


def _before(before: Mapping[str, Any]) -> str:
    """Return the trial ledger at the date of the registration."""
    n = int(before["runs"])
    if not n:
        return "No run of the experiment was kept here before it was registered."
    differing = [
        f"{fmt.count(k)} in {_PARTS.get(str(part), str(part))}"
        for part, k in before["deviating"].items()
    ]
    seen = int(before["read_holdout"])
    return (
        f"Before it was registered, {_times(n, 'run')} of the experiment had been kept here"
        + (f"; of these differed {fmt.list_words(differing)}" if differing else "")
        + (f"; {fmt.count(seen)} had read events of the holdout" if seen else "")
        + "."
    )


def _sealed(holdout: Mapping[str, Any], registration: Mapping[str, Any]) -> str:
    period = _period(holdout)
    opening = registration.get("opening")
    if opening is None:
        return f"A holdout {period} is sealed: no event known in it is part of this run."
    n = int(opening["number"])
    return (
        f"The holdout {period} was unsealed for this run on {opening['date']}; holdouts of the "
        f"experiment were unsealed {_times(n, 'time')} by then. Reason: {opening['reason']}. Only "
        "forecasts issued within it are scored; what came before warms up and teaches."
    )


def _read(seal: Mapping[str, Any]) -> str:
    return (
        f"It reads events {_period(seal)} that registration {seal['hash']} of "
        f"{seal['experiment']} holds out: whoever saw this run has seen that period."
    )


def _period(seal: Mapping[str, Any]) -> str:
    return f"from {_short(seal['start'])} to {_short(seal['end'])} (UTC)"


def _unsealed(n: int) -> list[str]:
    if not n:
        return []
    return [
        f"Holdouts of the experiment were unsealed {_times(n, 'time')} before this run was made."
    ]


def _times(n: int, word: str) -> str:
    return f"{fmt.count(n)} {word}{'' if n == 1 else 's'}"


def _short(moment: str) -> str:
    """Write a time of the manifest as people do: a midnight as its day."""
    return str(moment).removesuffix("+00:00").removesuffix(":00").removesuffix("T00:00")
