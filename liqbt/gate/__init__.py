"""The regression gate: a run against its baseline, and two runs side by side."""

from __future__ import annotations

from liqbt.gate.baseline import Baseline, Change, load_baseline
from liqbt.gate.check import GateReport, check, update_baseline
from liqbt.gate.compare import Comparison, compare
from liqbt.gate.identity import open_run
from liqbt.gate.rules import Finding, Rule, rule_of
from liqbt.gate.words import comparison_text, comparison_value, report_text, report_value

__all__ = [
    "Baseline",
    "Change",
    "Comparison",
    "Finding",
    "GateReport",
    "Rule",
    "check",
    "compare",
    "comparison_text",
    "comparison_value",
    "load_baseline",
    "open_run",
    "report_text",
    "report_value",
    "rule_of",
    "update_baseline",
]
