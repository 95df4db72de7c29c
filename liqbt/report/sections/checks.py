"""Sections 12 to 18: what tests are worth, controls, sensitivities, limits, how to reproduce."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from liqbt.report import formatting as fmt
from liqbt.report import notes, tables
from liqbt.report.blocks import Block, Code, Heading, Items, Pairs, Section, numbered
from liqbt.report.narrative import published_limits
from liqbt.report.pages.validity import gate_section
from liqbt.report.scores import estimators
from liqbt.report.sections.material import Material, absent, folded, grid, note
from liqbt.report.tripod import crosswalk

if TYPE_CHECKING:
    from liqbt.study.store import Run


def check_sections(material: Material) -> list[Section]:
    """Return sections 12 to 18."""
    return [
        _gate(material),
        _selection(material),
        _controls(material),
        _e_process(material.run),
        _sensitivities(material),
        _limits(material),
        _reproduce(material),
    ]


def _gate(material: Material) -> Section:
    held = gate_section(material.run)
    return numbered(
        12, grid(held["table"], "The validity gate"), *(note(text) for text in held["notes"])
    )


def _selection(material: Material) -> Section:
    names = estimators(material.run)
    several = ""
    if len(names) > 1:
        several = (
            f" Its {fmt.count(len(names))} estimators are all shown; the first is the one that "
            "the experiment names first, not the one that scored best."
        )
    return numbered(
        13,
        absent(
            "No test of selection: this run is one configuration, and whether it was chosen from "
            "several is for section 1 to say. Superior predictive ability, the model confidence "
            "set and the probability of overfitting belong to a search over configurations (liqbt "
            "search), "
            f"whose page has them.{several}"
        ),
    )


def _controls(material: Material) -> Section:
    run = material.run
    blocks: list[Block | None] = []
    twin = tables.twin_table(run)
    if twin is not None:
        blocks += [
            Heading(text="Beside the price-only twin"),
            grid(twin, "Beside the price-only twin"),
            note(
                "What decides a claim, of the map and of the same estimator told of constant "
                "inflow in the place of open interest, and of no liquidations: what it draws from "
                "the price path alone. Maps' correlation: of their densities at eligible "
                "distances, mean over landmarks. No verdict rests on this table."
            ),
        ]
    else:
        blocks.append(absent("No twin without positions: nothing was replayed here."))
    histories = tables.histories_table(run)
    if histories is not None:
        blocks += [
            Heading(text="Beside placebo histories"),
            grid(histories, "Beside placebo histories"),
            note(
                "What decides a claim, of the map and of maps made with positioning of another "
                "time over the same prices: positioning tells nothing of them there. As good: "
                "histories that did as well or better, and p the share of those, the map among "
                "them. Supported: histories that the claim's own rule would call so, the gate left "
                "aside. No verdict rests on this table."
            ),
        ]
    else:
        blocks.append(
            absent(
                "No history with positions of another time was replayed for this run: it takes "
                "minutes, and is asked for with randomise: 200 in the experiment, or with liqbt "
                "claims randomise."
            )
        )
    return numbered(
        14, *blocks, _random_levels(run.manifest.get("gate") or {}), *material.groups(14)
    )


def _random_levels(gate: Mapping[str, Any]) -> Block | None:
    levels = gate.get("random_levels")
    if not levels:
        return absent("Random levels on real prices: no document of the gate says how they fared.")
    return note(
        f"Random levels on real prices: {fmt.one_line(str(levels['word']))}: "
        f"{fmt.one_line(str(levels['reason']), 400)}."
    )


def _e_process(run: Run) -> Section:
    told = run.manifest.get("forward")
    if told is None:
        return numbered(
            15,
            absent(
                "No e-process: it needs non-overlapping forecasts that were written down before "
                "their outcomes, and this is a replay of a record that was there; evidence that is "
                "valid at any time of stopping can only be gathered forward (liqbt forward)."
            ),
        )
    rows = [
        (
            str(row["estimator"]),
            str(row["which"]),
            f"{row['ended']:,} of {row['issued']:,}",
            *(
                fmt.percent(math.nan if row[k] is None else row[k])
                for k in ("precision", "placebo")
            ),
            f"{math.exp(row['log_e']):.3g}",
            f"{math.exp(row['log_e_max']):.3g}",
        )
        for row in told["rows"]
    ]
    late = told["days"] - told["in_time"]
    table = tables.Table(
        head=(
            *("Estimator", "Which", "Windows ended", "Visited", "Expected (p̂)"),
            *("E-value now", "At its highest"),
        ),
        rows=tuple(rows),
        text_columns=2,
        source="manifest.json, forward",
    )
    return numbered(
        15,
        note(
            f"{told['days']} days from {told['start']} to {told['until']} were recorded, "
            f"{told['in_time']} of them before the window of their midnight was over"
            + (f"; the other {late} are a rehearsal on a record that was there." if late else ".")
        ),
        grid(table, "Forward record"),
        note(
            "At each midnight (UTC) the densest eligible cluster is a bet, at the price p̂, that it "
            "is visited within 24 h. If p̂ is right, whoever plays it, now or at any time, has no "
            "more to expect than the capital of 1 that they begin with: 20 or more at its highest "
            "has a chance of at most 5 %. Several estimators are several tries. A p̂ that is wrong "
            "is evidence, too, of that alone; no verdict rests on this table."
        ),
        *(
            note(f"Day to {day['until']}, issued despite: {fmt.one_line(one)} ({day['reason']}).")
            for day in told["despite"]
            for one in day["silent"]
        ),
        Pairs(rows=(("Registration", told["registration"]), ("Head of the chain", told["head"]))),
    )


def _sensitivities(material: Material) -> Section:
    run = material.run
    if not run.sensitivities:
        return numbered(16, absent("No row under other choices is stored: 24 h is not scored."))
    table, unchanged = tables.sensitivity_table(run)
    return numbered(
        16,
        note(
            "Each row but “as configured” changes one choice (touch rule, price, latency) and "
            "nothing else; a choice that changes nothing of a row is left out; no verdict rests on "
            "it. Both sides together. Thinning and linking of episodes are not varied by a run: "
            "liqbt grid varies any key."
        ),
        folded("Under other choices", grid(table, "Sensitivities")),
        note(unchanged) if unchanged else None,
    )


def _limits(material: Material) -> Section:
    run = material.run
    return numbered(17, Items(rows=(*published_limits(run), *notes.limits(run))))


def _reproduce(material: Material) -> Section:
    run = material.run
    manifest = run.manifest
    identity = [
        ("Run", str(manifest["run_id"])),
        *_pairs(manifest.get("hashes")),
        ("seed", str(manifest.get("seed", fmt.DASH))),
        ("versions", ", ".join(f"{n} {v}" for n, v in _pairs(manifest.get("versions")))),
    ]
    return numbered(
        18,
        Code(text=notes.command(run)),
        note(
            "In the folder of the experiment's own file. The same configuration, events, code and "
            "lock file give this run id and these bytes; liqbt reproduce RUN runs it again and "
            "says where they part. The full configuration is config.yaml beside this page, every "
            "row of scores in metrics.json, every point of a curve in curves.json."
        ),
        Pairs(rows=tuple((fmt.one_line(n), fmt.one_line(v, 600)) for n, v in identity)),
        folded("TRIPOD: each item, and where this report answers it", grid(crosswalk(), "TRIPOD")),
    )


def _pairs(mapping: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return names and values as text; a mapping inside is spread out."""
    out = []
    for key, value in (mapping or {}).items():
        inner = value if isinstance(value, Mapping) else {"": value}
        for name, text in inner.items():
            full = f"{key} {name}" if name else str(key)
            out.append((fmt.one_line(full), fmt.one_line(str(text))))
    return out
