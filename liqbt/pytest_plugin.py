"""A pytest fixture that holds an experiment against its baseline; pytest finds it by itself.

    def test_my_map(liqbt_regression):
        liqbt_regression("mine.yaml")

runs `mine.yaml` beside the test, or reads its finished run, and fails where `liqbt check` would,
with what it would print. `pytest --liqbt-accept "wider window"` accepts what it finds instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from liqbt.gate.check import GateReport

Regression = Callable[..., "GateReport | None"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that accepts what is found."""
    parser.getgroup("liqbt").addoption(
        "--liqbt-accept",
        metavar="REASON",
        help="Make what liqbt_regression finds the baselines, for this reason.",
    )


@pytest.fixture
def liqbt_regression(request: pytest.FixtureRequest) -> Regression:
    """Return a function that holds an experiment against its baseline.

    Called with `experiment`, a YAML file relative to the test's folder; `baseline`, by default
    `baselines/<name of the file>.json` beside it; and `results`, by default `results` beside it. It
    returns the `GateReport` of `liqbt check`, or None where `--liqbt-accept` made a baseline. No
    report is written; `liqbt run` adds it.
    """
    folder = request.path.parent
    reason = request.config.getoption("--liqbt-accept")

    def hold(
        experiment: Path | str, baseline: Path | str | None = None, results: Path | str = "results"
    ) -> GateReport | None:
        from liqbt.errors import LiqbtError
        from liqbt.gate.baseline import load_baseline
        from liqbt.gate.check import check, update_baseline
        from liqbt.gate.formatting import report_text
        from liqbt.gate.identity import open_run
        from liqbt.study.run import run_experiment

        path = folder / experiment
        kept = folder / (baseline or Path("baselines") / f"{path.stem}.json")
        try:
            accepted = None if reason else load_baseline(kept)
        except LiqbtError as error:
            pytest.fail(str(error), pytrace=False)
        run = open_run(run_experiment(path, folder / results).path)
        if accepted is None:
            update_baseline(run, kept, str(reason))
            return None
        found = check(run, accepted)
        if not found.passed:
            pytest.fail(f"{path.name}: {report_text(found)}", pytrace=False)
        return found

    return hold
