"""Compiled kernels are kept for as long as what they are compiled from does the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from liqbt import kernel_cache
from liqbt.kernel_cache import KEPT, kernel_folder, kernel_sources, prune

PACKAGE = Path(kernel_cache.__file__).parent
HELPER = "simulate/layout.py"
KERNEL = "margin/kernels.py"


@pytest.fixture
def copy(tmp_path) -> Path:
    """A small package: a kernel, a helper that its helper imports, and a module beside it."""
    package = tmp_path / "liqbt"
    for name, text in {
        "__init__.py": "",
        "fold/__init__.py": "from liqbt.beside import WORDS\n",
        "fold/kernels.py": (
            "from numba import njit\nfrom liqbt.fold.rules import HALF\n\n@njit(cache=True)\n"
            'def halved(x):\n    """Return half."""\n    return x * HALF\n'
        ),
        "fold/rules.py": '"""Rules."""\nfrom ..units import ONE\nHALF = ONE / 2\n',
        "tell/kernels.py": (
            "from numba import njit\n\n@njit(cache=True)\ndef told(x):\n    return x + 1.0\n"
        ),
        "units.py": "ONE = 1.0\n",
        "beside.py": "WORDS = 'no kernel reads them'\n",
    }.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


def changed(package: Path, name: str, old: str, new: str) -> bool:
    """Return whether the folder is another after an edit."""
    before = folder(package)
    path = package / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return folder(package) != before


def folder(package: Path) -> Path:
    kernel_cache._kernels.cache_clear()
    kernel_cache._read.cache_clear()
    return kernel_folder(package)


def test_what_kernels_import_counts_and_nothing_else(copy):
    found = [path.relative_to(copy).as_posix() for path in kernel_sources(copy)]
    assert found == ["fold/kernels.py", "fold/rules.py", "tell/kernels.py", "units.py"]
    assert kernel_sources(copy, copy / "tell") == [copy / "tell" / "kernels.py"]


@pytest.mark.parametrize(
    ("name", "old", "new", "other"),
    [
        ("fold/kernels.py", "x * HALF", "HALF * x", True),
        ("fold/kernels.py", "cache=True", "cache=True, fastmath=True", True),
        ("fold/rules.py", "ONE / 2", "ONE / 3", True),
        ("units.py", "1.0", "1.5", True),
        ("units.py", "1.0", "1.0  # a comment", False),
        ("fold/kernels.py", "Return half.", "Return a half.", False),
        ("fold/rules.py", '"""Rules."""\n', "\n\n", False),
        ("beside.py", "no kernel", "nobody", False),
        ("fold/__init__.py", "WORDS", "WORDS as W", False),
    ],
)
def test_the_folder_is_another_where_a_kernel_may_be(copy, name, old, new, other):
    assert changed(copy, name, old, new) == other


def test_the_packages_own_helpers_are_among_the_sources():
    names = {path.relative_to(PACKAGE).as_posix() for path in kernel_sources()}
    assert {HELPER, KERNEL, "types.py"} <= names
    importing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "\nfrom numba import" in path.read_text()
    }
    assert importing <= names
    assert len(names) < 50  # not the whole package by way of its faces


def test_the_last_used_folders_stay(tmp_path):
    for age in range(KEPT + 3):
        path = tmp_path / f"numba-{age}"
        path.mkdir()
        (path / "kernel.nbi").write_text("")
        os.utime(path, (10_000 - age, 10_000 - age))
    (tmp_path / "code-1.json").write_text("{}")
    prune(tmp_path, "numba-")
    assert {p.name for p in tmp_path.iterdir()} == {
        "code-1.json",
        *(f"numba-{age}" for age in range(KEPT)),
    }


def run(package: Path, cache: Path, code: str, **more: str) -> str:
    """Run code on a copy of the package, as a user would; return what it prints."""
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    env |= {"PYTHONPATH": str(package.parent), "XDG_CACHE_HOME": str(cache), **more}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=package.parent, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_copies_of_the_same_programs_compile_once_and_a_changed_constant_anew(copy, tmp_path):
    text = (PACKAGE / "kernel_cache.py").read_text()
    (copy / "kernel_cache.py").write_text(text)
    start = "from liqbt.kernel_cache import watch_for_numba\nwatch_for_numba()\n"
    (copy / "__init__.py").write_text(start)
    code = (
        "from liqbt.fold.kernels import halved as h; from liqbt.tell.kernels import told as t; "
        "from liqbt.kernel_cache import is_cold as c; kept = not c('kernels.halved'); "
        "print(h(3.0), t(3.0), kept, *(sum(k.stats.cache_hits.values()) for k in (h, t)))"
    )
    cache = tmp_path / "cache"
    assert run(copy, cache, code).split() == ["1.5", "4.0", "False", "0", "0"]
    moved = tmp_path / "elsewhere" / "liqbt"
    shutil.copytree(copy, moved, ignore=shutil.ignore_patterns("__pycache__"))
    assert run(moved, cache, code).split() == ["1.5", "4.0", "True", "1", "1"]
    rules = moved / "fold" / "rules.py"
    rules.write_text(rules.read_text().replace("/ 2", "/ 4"))
    # a parent's folder is not a child's of other code; and what does not read the constant stays
    (parents,) = (cache / "liqbt").glob("numba-*")
    found = run(moved, cache, code, NUMBA_CACHE_DIR=str(parents)).split()
    assert found == ["0.75", "4.0", "False", "0", "1"]
    own = tmp_path / "own"  # and a user's is left alone
    assert run(copy, cache, code, NUMBA_CACHE_DIR=str(own)).split()[3:] == ["0", "0"]
    assert list(own.rglob("*.nbi"))


def test_the_same_bytes_find_their_folder_unread_and_what_was_pruned_is_compiled_anew(
    copy, tmp_path
):
    (copy / "kernel_cache.py").write_text((PACKAGE / "kernel_cache.py").read_text())
    start = "from liqbt.kernel_cache import watch_for_numba\nwatch_for_numba()\n"
    (copy / "__init__.py").write_text(start)
    code = (
        "from liqbt.tell.kernels import told as t; from liqbt.kernel_cache import _read; "
        "print(t(3.0), sum(t.stats.cache_hits.values()), bool(_read.cache_info().misses))"
    )
    cache = tmp_path / "cache"
    assert run(copy, cache, code).split() == ["4.0", "0", "True"]
    assert run(copy, cache, code).split() == ["4.0", "1", "False"]
    shutil.rmtree(cache / "liqbt" / "kernels")
    told = copy / "tell" / "kernels.py"
    told.write_text(told.read_text().replace("1.0", "2.0"))
    assert run(copy, cache, code).split() == ["5.0", "0", "True"]
    shutil.rmtree(cache / "liqbt" / "kernels")
    assert run(copy, cache, code).split() == ["5.0", "0", "True"]
