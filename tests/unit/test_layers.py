"""The layers are in force: the tree keeps its contracts, and planted imports break them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command as c; c()"
    return subprocess.run(
        [sys.executable, "-c", program, "--config", ".importlinter.toml", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_parquet_and_csv_are_read_without_threads():
    """A pool's thread that outlives the interpreter aborts a process that has done its work."""
    for path in (ROOT / "liqbt").rglob("*.py"):
        text = path.read_text()
        assert "pq.read_table(" not in text, path
        assert "pd.read_parquet(" not in text, path
        for found in re.finditer(r"pa_csv\.read_csv\(|ParquetFile\(", text):
            call = text[found.start() : found.start() + 900]
            assert "use_threads=False" in call, (path, call)


def test_every_data_file_is_shipped():
    """What the package reads beside itself must be in a wheel, not only in a checkout."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    shipped = {p for g in patterns["package-data"]["liqbt"] for p in (ROOT / "liqbt").glob(g)}
    files = {
        p
        for p in (ROOT / "liqbt").rglob("*")
        if p.is_file() and p.suffix not in {".py", ".pyc", ".nbi", ".nbc"}
    }
    assert files <= shipped, sorted(files - shipped)


@pytest.fixture
def tree(tmp_path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "liqbt", tmp_path / "liqbt", ignore=ignored)
    shutil.copy(ROOT / ".importlinter.toml", tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        (None, "", ""),
        ("estimators/nulls.py", "from liqbt.log.store import EventLog", "see a prefix only BROKEN"),
        ("simulate/market.py", "from liqbt.estimators import OIFlow", "floors BROKEN"),
        ("simulate/effects/logit.py", "import liqbt.learn.logit", "evaluation learns"),
        ("learn/walk.py", "from liqbt.evaluation.path import PricePath", "floors BROKEN"),
        (
            "report/pages/run.py",
            "from liqbt.evaluation.evaluate import evaluate",
            "skips no floor BROKEN",
        ),
        ("study/store.py", "import matplotlib", "matplotlib in report BROKEN"),
        ("new_room.py", "", "floors"),
    ],
)
def test_contracts(tree, module, line, contract):
    if module is not None:
        path = tree / "liqbt" / module
        path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
    result = lint(tree)
    if module is None:
        assert result.returncode == 0, result.stdout + result.stderr
        assert "0 broken" in result.stdout
    else:
        assert result.returncode != 0
        assert contract in result.stdout + result.stderr
