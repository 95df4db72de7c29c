"""A new project runs as its README and its workflow say, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from shell import call

from liqbt.gate.project import new_project


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a step of a workflow would, with this environment's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    dropped = ("PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "LIQBT_DATA", "CI")
    env = {k: v for k, v in os.environ.items() if k not in dropped} | {"PATH": path}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_its_readme_and_its_workflow_run_as_they_are_written(tmp_path, monkeypatch, capsys):
    """Commands of liqbt in this process, others in a shell's."""
    folder = tmp_path / "mymaps"
    new_project(folder)
    monkeypatch.chdir(folder)
    world = folder / "world.yaml"
    world.write_text(world.read_text().replace("days: 45", "days: 30"))  # for speed
    experiment = folder / "experiment.yaml"
    text = experiment.read_text()
    assert "{every: 1h, warm_up: 14d}" in text
    experiment.write_text(text.replace("every: 1h", "every: 4h"))
    readme = (folder / "README.md").read_text()
    commands = re.findall(r"^    (liqbt .*?)(?:  +#.*)?$", readme, flags=re.MULTILINE)
    assert len(commands) == 3
    steps = yaml.safe_load((folder / ".github/workflows/liqbt.yml").read_text())["jobs"]["check"]
    ran = [step["run"] for step in steps["steps"] if "run" in step]
    assert ran[0] == "pip install -r requirements.txt"
    for command in (*commands, *ran[1:]):
        name, *arguments = shlex.split(command)
        if name == "liqbt":
            code, out, errors = call(monkeypatch, capsys, *arguments)
            assert code == 0, f"{command}: {out}{errors}"
        else:
            done = shell(command, folder)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert (folder / "check.xml").is_file()
    mine = folder / "mymap.py"  # levels on the wrong side of the price
    mine.write_text(mine.read_text().replace("1 + side / leverage", "1 + side / leverage / 3"))
    failed = shell("pytest -q", folder)
    assert failed.returncode == 1
    assert "cause: an estimator's own code changed" in failed.stdout


def test_what_is_there_is_not_written_over(tmp_path, monkeypatch, capsys):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").write_text("mine")
    for name, says in (("there", "not empty"), ("a b", "becomes the experiment's name")):
        code, _, err = call(monkeypatch, capsys, "new", tmp_path / name)
        assert (code, says in err, len(err.splitlines())) == (2, True, 1)
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["x"]
