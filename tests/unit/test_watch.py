"""What an estimator reaches for besides its events is seen, refused or named."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toys import START, Toy, toy_tape

import liqbt.audit.reached as reached_module
from liqbt.audit.formatting import AuditReport, detail
from liqbt.audit.reached import reaching
from liqbt.audit.values import AuditResult
from liqbt.errors import ConfigError, EstimatorError
from liqbt.replay import replay, schedule
from liqbt.study.own_code import imported_by, own_class, own_files, own_sources
from liqbt.types import HOUR_NS
from liqbt.watch import REACHES, Phase, during, watched

TAPE = toy_tape(60)
TIMES = schedule(START, START + 4 * HOUR_NS, HOUR_NS)
CODE = """
from pathlib import Path
import numpy as np
from toys import Toy
{top}
KEPT = {{}}
class Mine(Toy):
    {files}
    calls = 0
    def __init__(self, config=None):
        super().__init__(config)
        {built}
    def forecast(self, at):
        {asked}
        return super().forecast(at)
"""


class Reaching(Toy):
    """Does something of its own whenever it is asked."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act = act

    def forecast(self, at):
        self.act()
        return super().forecast(at)


def lists(folder):
    return list(folder.iterdir())


def database(folder):
    import sqlite3

    sqlite3.connect(folder / "prices.db").close()


REACHED = {
    "open": (lambda f: (f / "prices.csv").read_text(), "file", "prices.csv"),
    "numpy": (lambda f: np.load(f / "prices.npy"), "file", "prices.npy"),
    "memory map": (lambda f: np.load(f / "prices.npy", mmap_mode="r"), "file", "prices.npy"),
    "descriptor": (
        lambda f: os.close(os.open(f / "prices.csv", os.O_RDONLY)),
        "file",
        "prices.csv",
    ),
    "listing": (lists, "file", None),
    "database": (database, "file", "prices.db"),
    "socket": (lambda _: socket.socket().close(), "network", "socket.__new__"),
    "process": (lambda _: subprocess.run([sys.executable, "-V"], check=False), "process", None),
    "natively": (lambda f: pq.ParquetFile(f / "prices.parquet").read(), "bytes", "natively"),
}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "prices.csv").write_text("1,2\n")
    np.save(tmp_path / "prices.npy", np.arange(3.0))
    pq.write_table(pa.table({"p": np.arange(9.0)}), tmp_path / "prices.parquet")
    return tmp_path


def seen_of(act: Any, *, closely: bool = True) -> set[tuple[str, str]]:
    with watched(refuses=False, closely=closely) as watch:
        replay(TAPE, Reaching(act), TIMES)
    return {(one.what, one.name) for one in watch.seen}


@pytest.mark.parametrize("name", REACHED)
def test_what_is_read_while_it_is_asked_is_seen(folder, name):
    if name == "natively" and not Path("/proc/self/io").exists():
        pytest.skip("this system does not count the bytes that a process reads")
    act, what, which = REACHED[name]
    found = seen_of(lambda: act(folder))
    assert what in {kind for kind, _ in found}
    assert which is None or (what, which) in found


@pytest.mark.parametrize("name", [n for n in REACHED if n != "natively"])
def test_and_a_run_refuses_it_even_if_the_refusal_is_caught(folder, name):
    def quietly():
        try:
            REACHED[name][0](folder)
        except Exception:
            return

    for act in (lambda: REACHED[name][0](folder), quietly):
        with pytest.raises(EstimatorError, match=r"Reaching, asked for .* made of events alone"):
            replay(TAPE, Reaching(act), TIMES)


def test_the_sentence_names_file_and_line(folder):
    with pytest.raises(EstimatorError) as caught:
        replay(TAPE, Reaching(REACHED["open"][0].__get__(folder)), TIMES)
    assert "it reads 'prices.csv' while it is asked (test_watch.py, line " in str(caught.value)


def test_what_is_no_reading_is_told_and_not_refused(folder):
    def act():
        (folder / "mine.log").open("a").close()
        gc.get_objects()
        threading.Thread(target=len, args=("",)).start()
        time.time()
        datetime.now()

    replay(TAPE, Reaching(act), TIMES)  # nothing is refused
    found = seen_of(act)
    names = {("written", "mine.log"), ("memory", "gc.get_objects"), ("clock", "time.time")}
    assert names | {("clock", "datetime.now")} <= found
    assert not {what for what, _ in found} & REACHES


def test_code_and_what_is_installed_may_be_read_at_any_time(folder):
    def act():
        sys.modules.pop("colorsys", None)
        sys.modules.pop("own_late_import", None)
        import colorsys  # noqa: F401
        import zoneinfo

        zoneinfo.ZoneInfo.no_cache("Europe/Berlin")
        import own_late_import  # noqa: F401

    (folder / "own_late_import.py").write_text("VALUE = 1\n")
    sys.path.insert(0, str(folder))
    try:
        assert not seen_of(act)
    finally:
        sys.path.remove(str(folder))


def test_an_honest_estimator_is_not_seen_at_all():
    with watched(closely=True) as watch:
        replay(TAPE, Toy(), TIMES)
    assert not watch.seen
    assert sys.getprofile() is None


def test_nothing_is_seen_of_code_that_is_not_an_estimators(folder):
    with watched(closely=True) as watch:
        REACHED["open"][0](folder)
    assert not watch.seen


def written(folder: Path, monkeypatch, name: str, **parts: str) -> str:
    monkeypatch.syspath_prepend(str(folder))
    parts = {"top": "", "files": "", "built": "pass", "asked": "pass"} | parts
    (folder / f"{name}.py").write_text(CODE.format(**parts))
    return f"{name}:Mine"


def audited(use: str) -> dict[str, Any]:
    """Return what an audit says that replays an estimator twice and finds no difference."""
    experiment = SimpleNamespace(estimators={"mine": SimpleNamespace(use=use)})
    with reaching(experiment) as reached:
        for _ in range(2):
            cls = own_class(use)
            with during(Phase.BUILT, cls.__name__, own_files(cls)):
                made = cls()
            replay(TAPE, made, TIMES)
    result = AuditResult(audit="lookahead", trials=1, compared=1)
    return detail("mine", "TOY", result, reached)


READ = "np.load(Path(__file__).with_name('prices.npy'))"


def test_a_file_read_when_it_is_built_fails_the_audit_unless_its_class_names_it(
    folder, monkeypatch
):
    use = written(folder, monkeypatch, "own_watch_a", built=f"self.x = {READ}")
    found = audited(use)
    assert not found["passed"]
    assert [one["name"] for one in found["reached"]] == ["prices.npy"]
    said = AuditReport(audit="lookahead", details=[found]).sentence
    assert "FAILED; it reads 'prices.npy' while it is built (own_watch_a.py, line 12)" in said
    assert "let its class name it in 'files'" in said
    named = {"built": f"self.x = {READ}", "files": "files = ('prices.npy',)"}
    found = audited(written(folder, monkeypatch, "own_watch_b", **named))
    assert found["passed"]
    assert not found["reached"]
    assert [one["declared"] for one in found["told"]] == [True]
    asked = {"asked": READ, "files": "files = ('prices.npy',)"}
    assert not audited(written(folder, monkeypatch, "own_watch_c", **asked))["passed"]


def test_a_named_file_is_part_of_what_a_run_is_identified_by(folder, monkeypatch):
    use = written(folder, monkeypatch, "own_watch_d", files="files = ('prices.npy',)")
    first = own_sources(use)
    assert set(first) == {"own_watch_d.py", "prices.npy"}
    np.save(folder / "prices.npy", np.ones(2))
    second = own_sources(use)
    assert first["own_watch_d.py"] == second["own_watch_d.py"]
    assert first["prices.npy"] != second["prices.npy"]
    (folder / "prices.npy").unlink()
    with pytest.raises(ConfigError, match=r"its files name 'prices.npy'"):
        own_sources(use)


def test_what_a_module_reads_when_it_is_imported_is_kept(folder, monkeypatch):
    use = written(folder, monkeypatch, "own_watch_e", top=f"TABLE = {READ}")
    own_class(use)
    assert [(one.what, one.name) for one in imported_by(use)] == [("file", "prices.npy")]


def test_what_a_replay_leaves_in_a_module_is_told(folder, monkeypatch):
    for name, asked in (("f", "KEPT[at] = self.mark"), ("g", "Mine.calls += 1")):
        found = audited(written(folder, monkeypatch, f"own_watch_{name}", asked=asked))
        assert found["passed"]
        assert [one["what"] for one in found["told"]] == ["globals"]
        assert found["told"][0]["name"].startswith(f"own_watch_{name}.")
    assert not audited(written(folder, monkeypatch, "own_watch_h"))["told"]
    assert reached_module._digest(np.zeros(2)) != reached_module._digest(np.zeros(3))


def test_a_librarys_warning_is_one_sentence_and_told_once(capsys, monkeypatch):
    import warnings

    import liqbt.cli

    def noisy(**_options):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            for _ in range(2):
                warnings.warn("divide by zero\nin here", RuntimeWarning, stacklevel=1)

    monkeypatch.setattr(liqbt.cli.cli, "main", noisy)
    liqbt.cli.main()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("liqbt: a library warns (RuntimeWarning: divide by zero")
    assert ".py" not in said[0]
