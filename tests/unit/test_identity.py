"""What a campaign of replications is identified by."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from liqbt.study import identity

PACKAGE = Path(identity.__file__).resolve().parent.parent
SOURCES = [p for room in identity.ROOMS for p in [PACKAGE / room, *(PACKAGE / room).rglob("*")]]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(PACKAGE, tmp_path / "liqbt", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(identity, "_PACKAGE", tmp_path / "liqbt")
    return tmp_path / "liqbt"


def test_a_bare_source_is_the_same_program():
    tried = 0
    for path in [p for p in SOURCES if p.suffix == ".py"]:
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
        ("study/replicate.py", "spawn(3)", "spawn(4)", False),
        ("report/pages/validity.py", "def ", "def _", True),
    ],
)
def test_what_is_said_of_the_code_is_not_part_of_it(copy, name, old, new, same):
    before = identity.rooms_digest()
    text = (copy / name).read_text()
    assert old in text
    (copy / name).write_text(text.replace(old, new))
    assert (identity.rooms_digest() == before) == same


OUTSIDE = {
    "liqbt.errors",
    "liqbt.study.identity",
    "liqbt.study.estimators",
    "liqbt.log",
    "liqbt.log.disk",
}
"""What replications read beside their rooms: reading of files, names of errors, digests."""


def test_what_a_replication_runs_lies_in_its_rooms_and_not_in_what_is_apart():
    apart = {PACKAGE / name for name in identity.APART}
    assert all(path.is_file() for path in apart)
    paths = {path for path in SOURCES if path.suffix == ".py"} - apart
    names = {name_of(path) for path in paths}
    read = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("liqbt"):
                read.add(node.module)
                for alias in node.names:  # a module that is imported by name
                    whole = PACKAGE.parent.joinpath(*node.module.split("."), f"{alias.name}.py")
                    read |= {name_of(whole)} if whole.is_file() else set()
            elif isinstance(node, ast.Import):
                read |= {alias.name for alias in node.names if alias.name.startswith("liqbt")}
    assert "liqbt.evaluation.cascades" in read
    assert read - names == OUTSIDE
    assert not {name_of(path) for path in apart} & read


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")
