"""What a campaign of replications is identified by."""

from __future__ import annotations

import ast
import os
import platform
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from liqbt.study import identity

pytestmark = pytest.mark.usefixtures("undrawn")

PACKAGE = Path(identity.__file__).resolve().parent.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
BARE = lru_cache(maxsize=None)(identity.bare_source)
"""A copy differs from the package in a file: the others are not taken apart again."""


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(PACKAGE, tmp_path / "liqbt", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(identity, "_PACKAGE", tmp_path / "liqbt")
    monkeypatch.setattr(identity, "bare_source", BARE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "liqbt"
    forget()


def forget() -> None:
    identity.code_digest.cache_clear()
    identity.report_digest.cache_clear()


def test_a_bare_source_is_the_same_program():
    tried = 0
    for path in SOURCES:
        kept = ast.parse(path.read_text())
        for node in ast.walk(kept):  # the twin takes docstrings out of the tree
            for name in ("body", "orelse", "finalbody"):
                if isinstance(body := getattr(node, name, None), list):
                    setattr(node, name, [one for one in body if not told(one)])
        if all(getattr(node, "body", True) for node in ast.walk(kept)):  # not only a docstring
            bare = identity.bare_source(path.read_text())
            assert ast.dump(ast.parse(bare)) == ast.dump(kept), path
            tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('"told"; x = 1\n', '"told"; x = 2\n', False),
        ('"−−told"; x = 1\n', '"told"; x = 1\n', True),
        ('class E(Exception): """why"""\n', 'class E(Exception): """how"""\n', True),
        ('x = """a\n\nb  \n"""\n', 'x = """a\nb\n"""\n', False),
        ("x = '# no comment'\n", "x = '# another'\n", False),
        ("x = 1  # − one\n\n\ny = 2\n", "x = 1\ny = 2  # two\n", True),
    ],
)
def test_only_what_is_told_is_taken_out(one, other, same):
    assert (identity.bare_source(one) == identity.bare_source(other)) == same


def told(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "same"),
    [
        ("evaluation/funding.py", '"""Return the last', '"""Give the last', True),
        ("evaluation/funding.py", "= DAY_NS", "= DAY_NS  # that long", True),
        ("evaluation/funding.py", "8.0", "4.0", False),
        ("study/replicate.py", "spawn(2)", "spawn(3)", False),
        ("evaluation/kernels/response.py", "total", "summed", False),
        ("report/pages/run.py", "def ", "def _", True),
        ("validity/jobs.py", "BATCH: Final = 4", "BATCH: Final = 5", True),
        ("evaluation/accuracy/rule.py", "def ", "def _", True),  # no run computes it
        ("gate/__init__.py", '"""', '"""So: ', True),
        ("evaluation/claims/magnet.py", "Of two bins at one distance, above", "Of two", True),
        ("evaluation/claims/chain.py", '"What follows liq', '"# What\\\n  comes of liq', True),
        ("evaluation/claims/chain.py", 'null="equal', 'null="other', False),
        ("evaluation/claims/chain.py", "Each liquidation pushes", "One pushes", False),
        ("data/binance-um-margin-tiers.csv", "BTCUSDT", "BTCUSDC", False),
    ],
)
def test_only_what_can_change_a_number_is_part_of_the_code(copy, name, old, new, same):
    before = identity.code_digest()
    text = (copy / name).read_text()
    assert old in text
    (copy / name).write_text(text.replace(old, new))
    forget()
    assert (identity.code_digest() == before) == same


def test_an_empty_module_and_another_place_for_the_report_change_no_run_id(copy):
    before, report = identity.code_digest(), identity.report_digest()
    (copy / "evaluation" / "empty.py").write_text("")
    shutil.move(copy / "report" / "pages" / "run.py", copy / "report" / "pages" / "paper.py")
    forget()
    assert identity.code_digest() == before
    assert identity.report_digest() != report


def test_a_sentence_of_a_claim_changes_the_report_alone(copy):
    code, report = identity.code_digest(), identity.report_digest()
    place = copy / "evaluation" / "claims" / "chain.py"
    place.write_text(place.read_text().replace('"What follows liq', '"What comes of liq'))
    forget()
    assert identity.code_digest() == code
    assert identity.report_digest() != report


def test_a_cache_that_cannot_be_written_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    identity.write_cached(tmp_path / "file" / "in" / "it.json", {"a": 1})  # its folder is a file
    assert identity.read_cached(tmp_path / "file" / "in" / "it.json") == {}


def test_a_digest_is_computed_once_for_the_same_sources(copy, monkeypatch):
    before = identity.code_digest()
    identity.code_digest.cache_clear()
    monkeypatch.setattr(identity, "closure", None)
    assert identity.code_digest() == before


def test_imports_lead_through_faces_to_the_module_that_defines_a_name(tmp_path):
    files = {
        "__init__": "",
        "a": "from liqbt.b import one, own\nimport liqbt.c.deep\n",
        "b/__init__": "from liqbt.b.inner import one\nfrom liqbt.b.other import two\nown = 1\n",
        "b/inner": "def late():\n    from liqbt.late import x\n",
        "b/other": "",
        "c/__init__": "",
        "c/deep": "if TYPE_CHECKING:\n    import liqbt.types_only\nelse:\n    import liqbt.d\n",
        "d": "from liqbt.report import page\nfrom liqbt.b import other\n",
        "late": "",
        "types_only": "",
        "report": "",
    }  # fmt: skip
    for name, text in files.items():
        path = tmp_path / "liqbt" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    package = tmp_path / "liqbt"
    found = identity.closure(["liqbt.a"], package=package)
    names = ["a", "b", "b.inner", "b.other", "c.deep", "d", "late"]
    assert list(found) == [f"liqbt.{name}" for name in names]
    assert list(identity.closure(["liqbt.b.inner"], package=package)) == [
        "liqbt.b.inner",
        "liqbt.late",
    ]
    whole = identity.closure(["liqbt.b"], package=package)
    assert set(whole) == {"liqbt.b", "liqbt.b.inner", "liqbt.b.other", "liqbt.late"}


def test_rooms_and_roots_are_there():
    assert all((PACKAGE / name).is_dir() for name in identity.APART | identity.READERS)
    with pytest.raises(FileNotFoundError):
        identity.closure(["liqbt.study.no_such_module"])


def test_whatever_a_replication_calls_lies_in_its_closure():
    """Every function of the package that is called while a market is replicated and scored."""
    import sys

    import numpy as np

    from liqbt.simulate.world import World
    from liqbt.study.replicate import replicate, world_experiment

    called = set()

    def note(frame, event, _argument):
        if event == "call":
            called.add(frame.f_code.co_filename)

    world = World(name="w", days=40)
    experiment = world_experiment(world, reps=200)
    sys.setprofile(note)
    try:
        replicate(world, experiment, np.random.SeedSequence(1))
    finally:
        sys.setprofile(None)
    mine = {Path(name) for name in called if name.startswith(f"{PACKAGE}/")}
    assert len(mine) > 40
    inside = set(identity.closure(identity.REPLICATION, identity.APART).values())
    assert mine - inside <= {PACKAGE / "__init__.py"}


SUMS = "import {first}; import numpy as np; a = np.random.default_rng(0).normal(size=(999, 7)); "
SUMS += "print(hash((a.T @ a).tobytes() + np.linalg.qr(a)[1].tobytes()))"


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="OpenBLAS is told its kernels on x86 alone"
)
def test_sums_do_not_depend_on_the_processor():
    """A processor that would choose other kernels sums as those with AVX2 do."""

    def digest(first: str, **more: str) -> str:
        env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
        env |= {"PYTHONHASHSEED": "0", **more}
        call = [sys.executable, "-c", SUMS.format(first=first)]
        return subprocess.run(call, env=env, capture_output=True, text=True, check=True).stdout

    if " avx2 " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("the kernels that OpenBLAS is told to use need AVX2")
    assert digest("liqbt") == digest("numpy", OPENBLAS_CORETYPE="Haswell")
    assert digest("numpy", OPENBLAS_CORETYPE="Nehalem") != digest("liqbt")
    assert digest("liqbt", OPENBLAS_CORETYPE="Nehalem") == digest("liqbt")
