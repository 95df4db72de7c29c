"""An installed wheel says what the checkout says, and a refactor changes no verdict."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from validity_document import FIRST, SECOND, signed

from liqbt.kernel_cache import kernel_folder


def refactored(root: Path, folder: Path) -> Path:
    """Copy the sources with a kernel's variable renamed, a module moved, and an empty one added."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder / name)
    package = folder / "liqbt"
    shutil.copytree(root / "liqbt", package, ignore=shutil.ignore_patterns("__pycache__"))
    kernels = package / "learn" / "logit_kernels.py"  # a small folder: all of it compiles anew
    assert "bend[i] =" in kernels.read_text()
    kernels.write_text(kernels.read_text().replace("bend", "bent"))
    shutil.move(package / "evaluation" / "covariates.py", package / "evaluation" / "features.py")
    for path in package.rglob("*.py"):
        text = path.read_text()
        path.write_text(text.replace("liqbt.evaluation.covariates", "liqbt.evaluation.features"))
    (package / "evaluation" / "empty.py").write_text("")
    signed(package / "data" / "validity")  # it clears two tests, of five short markets
    return folder


def built(source: Path, folder: Path) -> Path:
    """Build a wheel, install it into a folder of its own, and return that."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = [*pip, "install", "--no-deps", "--no-compile", "--target", folder / "site", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "site"


@pytest.mark.slow
def test_a_wheel_holds_every_file_of_the_package(root, tmp_path):
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy(root / name, source / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "liqbt", source / "liqbt", ignore=ignored)
    found = built(source, tmp_path) / "liqbt"
    names = {path.relative_to(found) for path in found.rglob("*") if path.is_file()}
    expected = (path for path in (source / "liqbt").rglob("*") if path.is_file())
    assert names == {path.relative_to(source / "liqbt") for path in expected}


@pytest.mark.nightly
def test_a_wheel_of_refactored_code_in_an_empty_folder_passes_the_regression_check(root, tmp_path):
    """With its own data and worlds every row of the baseline, and the verdicts of its document.

    The document is one that clears two tests; this code, which is new, replicates what it pins.
    """
    empty = tmp_path / "empty"
    (tmp_path / "source").mkdir()
    empty.mkdir()
    site = built(refactored(root, tmp_path / "source"), tmp_path)
    shutil.copy(root / "experiments" / "demo.yaml", empty / "demo.yaml")
    dropped = ("LIQBT_DATA", "NUMBA_CACHE_DIR")
    env = {key: value for key, value in os.environ.items() if key not in dropped}
    env |= {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    kept = tmp_path / "cache" / "liqbt" / "kernels"  # those of what was not refactored
    kept.parent.mkdir(parents=True)
    (kernel_folder().parent / "kernels").mkdir(parents=True, exist_ok=True)
    kept.symlink_to(kernel_folder().parent / "kernels")
    baseline = root / "results" / "baselines" / "demo.json"

    def liqbt(*arguments: object) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "liqbt", *map(str, arguments)]
        return subprocess.run(call, cwd=empty, env=env, capture_output=True, text=True, check=False)

    done = liqbt("check", "demo.yaml", "--baseline", baseline, "--json")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert not [one for one in found["findings"] if one["fails"]]
    assert all(found["forecasts_same"].values())
    (run,) = (empty / "results" / "demo").glob("*/tables.json")
    words = {v["claim"]: v["word"] for v in json.loads(run.read_text())["verdicts"]}
    cleared = {FIRST.id, SECOND.id}
    assert "withheld" not in {words[claim] for claim in cleared}
    accepted = json.loads(baseline.read_text())["verdicts"]
    shipped = json.loads((root / "liqbt/data/validity/validity.json").read_text())["gates"]
    released = {gate["claim"] for gate in shipped if gate["word"] == "cleared"}
    assert {words[claim] for claim in released - cleared} <= {"withheld"}
    assert {c: w for c, w in words.items() if c not in cleared | released} == {
        c: w for c, w in accepted.items() if c not in cleared | released
    }
    manifest = json.loads(run.with_name("manifest.json").read_text())
    assert not cleared & set(manifest["gate"]["stale"])
    assert manifest["hashes"]["code"] != json.loads(baseline.read_text())["code"]
    tried = list((tmp_path / "cache" / "liqbt").glob("pinned-*.json"))
    assert len(tried) == 1  # this code is new: its pinned replications were run, once
