"""What runs in continuous integration exists: the workflow, its targets, the baselines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from liqbt.gate.baseline import load_baseline
from liqbt.study.schema import load_experiment

ACTION = re.compile(r"actions/(checkout|setup-python|cache|upload-artifact)@v\d+")


@pytest.fixture(scope="module")
def workflow(root) -> dict:
    # YAML 1.1 reads the key `on` as true; as plain text it stays what GitHub reads
    text = (root / ".github/workflows/liqbt.yml").read_text()
    return yaml.load(text, Loader=yaml.BaseLoader)


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflow_runs_on_pull_requests_and_may_only_read(workflow):
    assert {"push", "pull_request"} <= set(workflow["on"])
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["steps"][0]["uses"].startswith("actions/checkout@")
        assert int(job["timeout-minutes"]) <= 60


def test_actions_are_pinned_by_major_version(workflow):
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert all(ACTION.fullmatch(name) for name in used), used


def test_every_supported_python_is_tested(root, workflow):
    matrix = set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"])
    named = re.findall(r"Python :: (3\.\d+)", (root / "pyproject.toml").read_text())
    assert matrix == set(named)


def test_every_command_is_a_target_of_the_makefile(root, workflow):
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    called = {re.match(r"make ([a-z]+) PYTHON=python$", line).group(1) for line in commands}
    assert called == {"check", "test", "gate", "demo", "site"}
    assert called <= targets


def test_the_report_is_kept_whatever_the_gate_says(workflow):
    upload = next(s for s in steps(workflow) if "upload-artifact" in s.get("uses", ""))
    assert upload["if"] == "always()"
    assert "report.html" in upload["with"]["path"]


@pytest.mark.parametrize(
    "name", ["demo", "btc-2025-12", "eth-2025-12", "hyperliquid-2025", "panel-2025-12"]
)
def test_every_shipped_experiment_has_a_baseline_with_reasons(root, name):
    held = load_baseline(Path(root) / "results" / "baselines" / f"{name}.json")
    assert held.experiment == load_experiment(root / "experiments" / f"{name}.yaml").name
    assert set(held.tape) == set(load_experiment(root / "experiments" / f"{name}.yaml").symbols)
    assert all(len(change.reason) >= 10 for change in held.history)
    assert held.history[-1].run_id == held.run_id
    assert held.day_sums()
