"""Say what the experiments on real data come to: every claim, one page that a trader can read."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from liqbt.evaluation.claims.claim import Claim, reach, years_words
from liqbt.evaluation.claims.register import REGISTER, statistic_of
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.report.pages.run import write_report
from liqbt.report.verdicts import effect_interval, null_effect, size_words
from liqbt.study.randomise import Randomised, randomise
from liqbt.study.run import run_experiment
from liqbt.study.store import Run
from liqbt.types import Verdict, VerdictWord

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAMES = ("panel-2025-12", "hyperliquid-2025", "btc-2025-12", "eth-2025-12")
HEAD = ("record", "says", "effect [95 %]", "no information", "prices alone", "histories as good")
HEAD = (*HEAD, "shown with 80 %", "would matter", "takes")

Histories = Mapping[str, Randomised]


def claim_lines(
    claim: Claim, runs: Mapping[str, Run], histories: Mapping[str, Histories]
) -> Iterator[str]:
    """Yield what every record says of one claim, as Markdown."""
    yield f"## {claim.number} {claim.id}: {claim.words}".replace("##  ", "## ")
    yield ""
    found = {name: v for name, run in runs.items() for v in run.verdicts if v.claim == claim.id}
    if not found:
        yield f"Shown in every report ({statistic_of(claim.statistic).label}), and decides nothing."
        yield ""
        return
    effect = claim.scale.effect or statistic_of(claim.statistic).label
    yield f"*Effect*: {effect}. *No information*: {claim.null}."
    yield ""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|---" * len(HEAD) + "|"
    for name, verdict in found.items():
        cells = _cells(claim, verdict, runs[name], histories.get(name, {}))
        yield f"| {name} | *{verdict.word.value}* | " + " | ".join(cells) + " |"
    yield ""
    reasons: dict[str, list[str]] = {}
    for name, verdict in found.items():
        reasons.setdefault(f"{verdict.reason}. {_change(claim, verdict)}", []).append(name)
    for reason, names in reasons.items():
        yield f"- {', '.join(names)}: {reason}"
    yield ""


def _cells(claim: Claim, verdict: Verdict, run: Run, histories: Histories) -> Sequence[str]:
    score = verdict.score
    if score is None:
        return ("—", "—", "—", "—", "—", size_words(claim, claim.smallest_effect), "—")
    beside = histories.get(claim.statistic)
    good = "—" if beside is None else f"{beside.as_good} of {beside.histories}"
    unit = statistic_of(claim.statistic).unit
    symbols = {row["symbol"] for row in run.twin_scores}
    symbol = POOLED if POOLED in symbols else next(iter(symbols), "")
    twin = next(
        (
            f"{unit.scale * row['twin']:.3g} {unit.name}".rstrip()
            for row in run.twin_scores
            if (row["statistic"], row["symbol"]) == (claim.statistic, symbol)
            and math.isfinite(row["twin"])
        ),
        "—",
    )
    reached = reach(claim, score)
    takes = "no length" if math.isinf(reached.needed) else years_words(reached.needed)
    return (
        effect_interval(claim, score),
        null_effect(claim, score),
        twin,
        good,
        size_words(claim, reached.detectable),
        size_words(claim, claim.smallest_effect),
        takes,
    )


def _change(claim: Claim, verdict: Verdict) -> str:
    """Return what would change a verdict, in one sentence."""
    match verdict.word:
        case VerdictWord.WITHHELD:
            return "What would change it: its test passing the validity gate."
        case VerdictWord.NOT_TESTABLE:
            return "What would change it: a record that holds what the claim is about."
        case VerdictWord.UNDERPOWERED | VerdictWord.INCONCLUSIVE if verdict.score is not None:
            needed = reach(claim, verdict.score).needed
            if math.isinf(needed):
                return "What would change it: a larger effect; no length of record shows this one."
            return f"What would change it: about {years_words(needed)} of these markets."
        case VerdictWord.REFUTED:
            return "What would change it: a map that knows more of positions."
        case VerdictWord.SUSPECT:
            return "What would change it: a record whose clocks are right."
    return "What would change it: the same test on a later record, failing."


def main() -> None:
    """Run, print the page and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=list(NAMES))
    arguments = parser.parse_args()
    runs: dict[str, Run] = {}
    histories: dict[str, Histories] = {}
    for name in arguments.only:
        path = ROOT / "experiments" / f"{name}.yaml"
        runs[name] = run_experiment(path, arguments.results, finish=write_report)
        if arguments.histories:
            rows = randomise(path, arguments.results, histories=arguments.histories)
            histories[name] = {row.statistic: row for row in rows}
    lines = ["# What the records say of every claim", ""]
    for claim in REGISTER:
        lines += claim_lines(claim, runs, histories)
    text = "\n".join(lines)
    print(text)
    (HERE / "page.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
