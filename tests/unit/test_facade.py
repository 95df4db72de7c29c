"""The public names work in any order of imports, and take paths as people write them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import liqbt

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    "imports",
    [
        "from liqbt import World, simulate",
        "from liqbt import simulate, World",
        "import liqbt.simulate.world; from liqbt import simulate, World",
        "import liqbt; liqbt.World; simulate, World = liqbt.simulate, liqbt.World",
    ],
)
def test_simulate_is_called_whatever_was_imported_before(imports):
    """A room binds its name to the package when it is first imported."""
    program = f"{imports}\nmade = simulate(World(name='a', days=1, warmup_days=1), seed=1)"
    program += "\nprint(len(made.tables))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_every_public_name_is_there():
    for name in liqbt.__all__:
        assert callable(getattr(liqbt, name)), name


def test_paths_are_taken_as_text(tmp_path):
    experiment = liqbt.load_experiment(str(ROOT / "experiments" / "demo.yaml"))
    assert experiment.name == "demo"
    with pytest.raises(liqbt.LiqbtError, match="none"):
        liqbt.run_experiment(str(tmp_path / "none.yaml"), str(tmp_path / "r"))
    with pytest.raises(liqbt.LiqbtError, match="manifest"):
        liqbt.load_run(str(tmp_path))
    with pytest.raises(liqbt.LiqbtError, match="no event log"):
        liqbt.open_log(str(tmp_path))
