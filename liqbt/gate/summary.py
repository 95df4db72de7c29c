"""A gate's report where CI shows it: the cause first, Markdown for people, JUnit for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree import ElementTree as Xml

from liqbt.evaluation.claims.register import statistic_of
from liqbt.gate.check import GateReport
from liqbt.gate.formatting import cause, finding_text, headline, interval_words
from liqbt.gate.rules import Finding
from liqbt.study.store import Key

_ROWS: Final = 12


def summary_markdown(report: GateReport, name: str) -> str:
    """Return a gate's report as Markdown: outcome, cause, and the rows that matter.

    Parameters
    ----------
    report : GateReport
        From `check`.
    name : str
        Of the experiment.
    """
    failing = [finding for finding in report.findings if finding.fails]
    told = [finding for finding in report.findings if not finding.fails]
    lines = [f"### {_cell(name)}: {headline(report)}", "", f"Cause: {_cell(cause(report))}.", ""]
    lines += [f"- {_cell(difference.sentence)}" for difference in report.identity]
    if report.verdicts:
        lines += ["", "| claim | verdict before | verdict now |", "|---|---|---|"]
        lines += [f"| {claim} | {old} | {new} |" for claim, old, new in report.verdicts]
    if failing:
        lines += ["", *_table(failing)]
    if told:
        lines += [
            "",
            f"<details><summary>{len(told)} more rows moved and do not fail</summary>",
            "",
        ]
        lines += [*_table(told), "", "</details>"]
    return "\n".join(lines) + "\n"


def _table(found: Sequence[Finding]) -> Iterator[str]:
    yield "| row | what | before | now | own interval of the difference |"
    yield "|---|---|---|---|---|"
    for finding in found[:_ROWS]:
        unit = statistic_of(finding.key.statistic).unit
        before, now = (interval_words(row, unit.scale) for row in (finding.base, finding.new))
        own = ""
        if finding.paired is not None and finding.paired.ci_low == finding.paired.ci_low:
            low, high = (unit.scale * v for v in (finding.paired.ci_low, finding.paired.ci_high))
            own = f"[{low:+.2f}, {high:+.2f}]"
        words = (_named(finding.key), finding.kind, f"{before} {unit.name}", f"{now} {unit.name}")
        yield "| " + " | ".join(_cell(word.strip()) for word in (*words, own)) + " |"
    if len(found) > _ROWS:
        yield f"| and {len(found) - _ROWS} more | | | | |"


def _named(key: Key) -> str:
    return " ".join(filter(None, key))


def _cell(text: str) -> str:
    """Return text that stays within a cell of a table, whatever it holds."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def junit_xml(report: GateReport, name: str) -> str:
    """Return a gate's report as JUnit's XML: a test for every row and verdict of the baseline.

    Parameters
    ----------
    report : GateReport
        From `check`.
    name : str
        Of the experiment: the suite.
    """
    failures: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.fails:
            failures.setdefault(_named(finding.key), []).append(finding_text(finding))
    if report.same_tape:
        for claim, old, new in report.verdicts:
            failures[f"verdict {claim}"] = [f"verdict of {claim}: {old} -> {new}"]
    cases = dict.fromkeys((*map(_named, report.keys), *failures))
    suite = Xml.Element(
        "testsuite", name=name, tests=str(len(cases)), failures=str(len(failures)), errors="0"
    )
    for case in cases:
        test = Xml.SubElement(suite, "testcase", classname=f"liqbt.{name}", name=case)
        if case in failures:
            failed = Xml.SubElement(test, "failure", message=failures[case][0])
            failed.text = "\n".join([*failures[case], f"cause: {cause(report)}"])
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
