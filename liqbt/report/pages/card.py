"""The card of a run: one page with what was claimed, what was found, and how to make it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from liqbt.report import formatting as fmt
from liqbt.report.notes import command, registration_sentences
from liqbt.report.pages.template import write_page
from liqbt.report.verdicts import verdict_table

if TYPE_CHECKING:
    from liqbt.study.store import Run


def card_value(run: Run) -> dict[str, Any]:
    """Return what stands on the card: text, and rows of text."""
    manifest = run.manifest
    table = verdict_table(run)
    symbols = manifest["symbols"]
    names = fmt.list_words([fmt.one_line(name) for name in symbols])
    first, last = (
        choose(str(about[key]) for about in symbols.values())[:10]
        for choose, key in ((min, "first"), (max, "last"))
    )
    simulated = "a simulated market, " if manifest.get("simulated") else ""
    hashes = manifest.get("hashes", {})
    plain = {key: value for key, value in hashes.items() if isinstance(value, str)}
    tapes = {f"tape {name}": digest for name, digest in hashes.get("tape", {}).items()}
    identity = {"run": manifest["run_id"], **plain, **tapes, "seed": manifest.get("seed", "")}
    return {
        "title": fmt.one_line(str(manifest["experiment"])),
        "about": f"{names}, {simulated}{first} to {last}.",
        "verdicts": {"head": list(table.head), "rows": [list(row) for row in table.rows]},
        "registration": registration_sentences(run),
        "command": command(run),
        "identity": [
            [fmt.one_line(str(key)), fmt.one_line(str(value), 200)]
            for key, value in identity.items()
        ],
    }


def card_text(run: Run) -> str:
    """Return the card as text: a claim a line."""
    value = card_value(run)
    head, rows = value["verdicts"]["head"], value["verdicts"]["rows"]
    lines = [f"{value['title']}: {value['about']}"]
    for row in rows:
        said = dict(zip(head, row, strict=True))
        lines.append(
            f"  {said['Claim, horizon']}: {said['Verdict']}; effect {said['Effect [95 %]']}, "
            f"no information {said['No information']}, shown with 80 % {said['Shown with 80 %']}, "
            f"would matter {said['Would matter']}"
        )
    identity = ", ".join(f"{name} {text}" for name, text in value["identity"])
    return "\n".join([*lines, *value["registration"], f"{value['command']}  ({identity})"])


def write_card(run: Run, out_dir: Path) -> Path:
    """Write `card.html` and `card.json` into `out_dir`; they ask nothing of the network.

    Parameters
    ----------
    run : Run
        A finished run.
    out_dir : Path
        A folder, made where need be: not the run's own, which is whole as it is.
    """
    value = card_value(run)
    return write_page(out_dir, "card", value, document=value)
