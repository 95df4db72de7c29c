"""Say what every verdict would be, had the day begun at another hour.

All clocks of a record are set ahead by 0 to 23 hours: prices, positions and their order stay what
they are, and the days, the windows' starts and the hours of landmarks move over them. A verdict
that hangs on the hour at which days begin is one of that hour. The words are those of the claims'
own rules, the validity gate left aside.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from liqbt.evaluation.claims.register import CLAIMS
from liqbt.evaluation.claims.verdict import verdicts
from liqbt.report.verdicts import effect_interval
from liqbt.study.pipeline import study
from liqbt.study.plan import prepare
from liqbt.tape.values import Tape, tape_from_events
from liqbt.types import HOUR_NS, Verdict

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAMES = ("panel-2025-12", "hyperliquid-2025", "btc-2025-12")


def set_ahead(tape: Tape, hours: int) -> Tape:
    """Return a tape all of whose clocks are ahead by so many hours."""
    events = np.array(tape.events)
    for clock in ("ts_event", "ts_known"):
        events[clock] += hours * HOUR_NS
    return replace(tape_from_events(events, tape.instruments), masked=tape.masked)


def found(name: str, hours: Sequence[int], results: Path) -> list[dict[str, Verdict]]:
    """Return an experiment's verdicts by claim, for every shift."""
    work = prepare(ROOT / "experiments" / f"{name}.yaml", results)
    out = []
    for hour in tqdm(hours, desc=name, disable=None):
        tapes = {symbol: set_ahead(tape, hour) for symbol, tape in work.tapes.items()}
        done = study(work.experiment, tapes)
        rows = verdicts(done.first.details, withheld={})
        out.append({row.claim: row for row in rows})
    return out


def lines_of(
    name: str, hours: Sequence[int], rows: Sequence[Mapping[str, Verdict]]
) -> Iterator[str]:
    """Yield one experiment's table as Markdown."""
    yield f"## {name}, {len(hours)} shifts of the clock: {hours[0]} to {hours[-1]} hours"
    yield ""
    yield "| claim | words | effect as recorded | least and greatest | moved at most |"
    yield "|---|---|---|---|---|"
    for claim in CLAIMS:
        each = [row[claim.id] for row in rows if claim.id in row]
        if not each:
            continue
        words = Counter(verdict.word.value for verdict in each)
        said = ", ".join(f"*{word}* {count}" for word, count in words.items())
        scores = [verdict.score for verdict in each if verdict.score is not None]
        if len(scores) < len(each) or not scores:
            yield f"| {claim.id} | {said} | — | — | — |"
            continue
        values = np.array([score.value - score.null for score in scores])
        low, high = scores[int(values.argmin())], scores[int(values.argmax())]
        width = scores[0].ci_high - scores[0].ci_low
        moved = float(np.abs(values - values[0]).max()) / width if width > 0 else float("nan")
        yield (
            f"| {claim.id} | {said} | {effect_interval(claim, scores[0])} | "
            f"{effect_interval(claim, low)}; {effect_interval(claim, high)} | "
            f"{moved:.2f} of the interval's width |"
        )
    yield ""


def main() -> None:
    """Run, print the page and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--hours", type=int, default=24, help="shifts, from 0 on")
    parser.add_argument("--only", nargs="*", default=list(NAMES))
    arguments = parser.parse_args()
    hours = range(arguments.hours)
    lines = ["# What every verdict would be, had the day begun at another hour", ""]
    for name in arguments.only:
        lines += lines_of(name, hours, found(name, hours, arguments.results))
    text = "\n".join(lines)
    print(text)
    (HERE / "phases.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
