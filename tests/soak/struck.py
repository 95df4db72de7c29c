"""What was finished and is struck afterwards, or while others write: runs, tapes, baselines.

The counts of `python -m research.attacks` are those of the attack that once found faults here.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import archive
from fetch_resume import contents

from liqbt.gate import reproduce
from liqbt.report.pages import run as report_page
from liqbt.study import store, written
from liqbt.study.plan import prepare
from soak.faulty import Disk, counted, full
from soak.kills import ended, spawn
from soak.row import Row, Tally
from soak.small import EXPERIMENT, Said, call, clear, emptied, in_child, run_inputs

__all__ = ["fetch_full", "power", "results", "tapes", "unseal_killed"]


def _finished(folder: Path) -> Path:
    """Make a run with its report, and return its folder."""
    said = call("run", run_inputs(folder), "--results", folder / "r")
    assert said.code == 0, said
    return next(p for p in (folder / "r" / "x").iterdir() if not p.name.startswith("."))


@contextlib.contextmanager
def _made_once(path: Path, folder: Path) -> Iterator[None]:
    """What is made again of an intact run is copied: that it is equal, other tests hold."""
    keep = folder / "kept"
    shutil.copytree(path, keep)
    own = json.loads((keep / "manifest.json").read_text())["report"]["files"]

    def drawn(_run: store.Run, out: Path, *_: object, **__: object) -> Path:
        for name in own:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(keep / name, out / name)
        return out / "report.html"

    def again(_work: object, results: Path, *_: object, **__: object) -> store.Run:
        shutil.copytree(keep, results / "x" / path.name)
        return store.load_run(results / "x" / path.name)

    with (
        mock.patch.object(report_page, "write_report", drawn),
        mock.patch.object(reproduce, "run_plan", again),
    ):
        yield


def results(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Flip one byte of a finished run, file by file: who reads it says so, and no other changes."""
    rng = random.Random(seed)
    path = _finished(folder)
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    readers = {
        "verify": ("verify", path),
        "report": ("report", path, "--executor", "serial"),
        "line": ("line", path),
        "card": ("card", path),
        "reproduce": ("reproduce", path, "--experiment", folder / "x.yaml"),
    }
    tallies = {name: Tally(f"run: a byte flipped, {name}") for name in readers}
    with _made_once(path, folder):
        told = {name: call(*words) for name, words in readers.items()}
        assert {said.code for said in told.values()} == {0}, told
        for k in range(n):
            name = names[k % len(names)]
            whole = (path / name).read_bytes()
            at = rng.randrange(len(whole))
            flipped = bytearray(whole)
            flipped[at] ^= rng.randrange(1, 256)
            for reader, words in readers.items():
                (path / name).write_bytes(flipped)
                written._seen.clear()  # each command is a process of its own
                said = call(*words)
                problem = _noticed(reader, name, said, told[reader])
                if not problem and reader == "report" and said.code == 0:
                    problem = (
                        "" if (path / name).read_bytes() == whole else "the flip is still there"
                    )
                if said.code == 0:
                    tallies[reader].count("does not read it, or wrote it again")
                tallies[reader].check(f"{name} byte {at}: {problem}" if problem else "")
            (path / name).write_bytes(whole)
    assert written.is_intact(path)
    yield from (tally.row() for tally in tallies.values())
    yield _baselines(round(n * 12 / 111), path, folder)


def _noticed(reader: str, name: str, said: Said, whole: Said) -> str:
    """Return what is wrong with what a reader of a run says of a flipped file of it."""
    if said.code == 2:  # its manifest is no manifest any more
        return clear(said, name)
    if reader == "verify" or (reader == "reproduce" and said.code == 1):
        named = name in said.out and not said.crash and "Traceback" not in said.err
        return (
            "" if said.code == 1 and named else f"exit {said.code}: {said.out[-300:]} {said.crash}"
        )
    if said.code == 0:
        return "" if said.out == whole.out else f"another answer: {said.out[-300:]}"
    return clear(said, name)


def tapes(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Flip one byte of a cached tape: it is read as it was, or built again."""
    rng = random.Random(seed)
    experiment = run_inputs(folder)
    wanted = {s: tape.digest for s, tape in prepare(experiment, folder / "r").tapes.items()}
    files = sorted((folder / "r" / ".cache" / "tapes").rglob("*.events"))
    files += [path.with_suffix(".json") for path in files]
    tally = Tally("cached tape: a byte flipped")
    for k in range(n):
        path = files[k % len(files)]
        whole = path.read_bytes()
        flipped = bytearray(whole)
        at = rng.randrange(len(whole))
        flipped[at] ^= rng.randrange(1, 256)
        path.unlink()  # another process may have mapped the old one
        path.write_bytes(flipped)
        tapes = prepare(experiment, folder / "r").tapes
        wrong = [s for s, tape in tapes.items() if _digest(tape) != wanted[s]]
        tally.check(f"{path.name} byte {at}: other events were read" if wrong else "")
        tally.count("built again" if path.read_bytes() == whole else "kept")
    yield tally.row()


def _digest(tape: object) -> str:
    """Return the digest of what a tape holds, whatever it says of itself."""
    from liqbt.tape.values import record_digest

    return record_digest(tape.events, tape.instruments)  # type: ignore[attr-defined]


_FIRST = "the first figures"


def _baselines(n: int, path: Path, folder: Path) -> Row:
    """Accept a run four times at once, `n` rounds."""
    tally = Tally("baseline: four updates at once, all accepted entries kept")
    for k in range(n):
        base = emptied(folder / "b") / "b.json"
        if call("baseline", "add", path, "--baseline", base, "--reason", _FIRST).code:
            raise AssertionError("a baseline could not be written")
        reasons = [f"round {k}, number {i}" for i in range(4)]
        children = [
            spawn(["baseline", "update", path, "--baseline", base, "--reason", why], folder / why)
            for why in reasons
        ]
        codes = [ended(child) for child in children]
        kept = [change["reason"] for change in json.loads(base.read_text())["history"]]
        accepted = [why for why, code in zip(reasons, codes, strict=True) if code == 0]
        good = kept[0] == _FIRST and sorted(kept[1:]) == sorted(accepted) and len(accepted) == 4
        tally.check("" if good else f"exits {codes}, kept {kept}")
    return tally.row("rounds")


def fetch_full(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Fill the disk at `n` moments of a fetch; the repeat ends as if nothing had been."""
    rng = random.Random(seed)
    files = archive.month_archive(["AAAUSDT"], 4, seed=3)
    with archive.serving(files) as server:
        words = [
            "fetch",
            "binance-um",
            "--symbols",
            "AAAUSDT",
            "--types",
            "metrics,markPriceKlines:5m",
        ]
        words += [
            "--from",
            "2024-01-01",
            "--to",
            "2024-01-02",
            "--base",
            server.base,
            "--jobs",
            "1",
        ]
        assert call(*words, "--log", folder / "whole").code == 0
        wanted = contents(folder / "whole")
        disk = Disk(0, full)
        with counted(disk):
            assert call(*words, "--log", folder / "counted").code == 0
        tally = Tally("fetch: disk full from the k-th operation on")
        for k in sorted(rng.sample(range(1, disk.seen + 1), min(n, disk.seen))):
            log = emptied(folder / "try") / "log"

            def lasting(name: str) -> None:
                struck.at += 1  # noqa: B023
                if name in {"write", "create", "mkdir", "link", "parquet", "fsync"}:
                    full(name)

            struck = Disk(k, lasting)
            with counted(struck):
                said = call(*words, "--log", log)
            problem = "" if said.code in (0, 1) and not said.crash else clear(said)
            if not problem:
                again = call(*words, "--log", log)
                problem = f"the repeat: {again.err} {again.crash}" if again.code else ""
            if not problem:
                problem = "" if contents(log) == wanted else "other events"
            tally.check(f"k={k} ({disk.names[k - 1]}): {problem}" if problem else "")
        yield tally.row(f"of {disk.seen} operations")


def unseal_killed(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Kill `unseal` at a random moment: the repeat counts one more, and clears what was left."""
    rng = random.Random(seed)
    run_inputs(folder)
    (folder / "w.yaml").write_text("name: w\ndays: 14\nwarmup_days: 3\nmagnet: 1.0\n")
    holdout = "holdout: {start: 2025-01-08, end: 2025-01-12}\n"
    experiment = folder / "x.yaml"
    experiment.write_text(EXPERIMENT + holdout)
    environment = mock.patch.dict(os.environ)
    environment.start()
    os.environ.pop("CI", None)
    base = folder / "registered"
    said = call("register", experiment, "--results", base)
    assert said.code == 0, said

    def words(place: Path) -> list[object]:
        return ["unseal", experiment, "--results", place, "--reason", "an attack"]

    shutil.copytree(base, folder / "whole")
    assert call(*words(folder / "whole")).code == 0
    shutil.rmtree(folder / "whole")
    shutil.copytree(base, folder / "whole")
    start = time.perf_counter()
    assert ended(spawn(words(folder / "whole"), folder / "err")) == 0
    seconds = time.perf_counter() - start
    tally = Tally("unseal: SIGKILL at a random moment")
    for _ in range(n):
        place = folder / "try"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(base, place)
        after = rng.uniform(0.0, seconds)
        child = spawn(words(place), folder / "err")
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        code = ended(child)
        tally.count("ended before" if code == 0 else "killed")
        problem = in_child(lambda: _unsealed(words(place), place))  # noqa: B023
        tally.check(f"after {after:.2f} s: {problem}" if problem else "")
    environment.stop()
    yield tally.row(f"over {seconds:.2f} s, each repeated")


def _unsealed(words: list[object], place: Path) -> str:
    said = call(*words)
    if said.code or said.crash:
        return f"the repeat failed: {said.err} {said.crash}"
    left = [p.name for p in place.rglob(".*") if p.name.endswith((".tmp", ".parts"))]
    if left:
        return f"left over: {left}"
    broken = [p for p in place.glob("x/[0-9a-f]*") if not written.is_intact(p)]
    return f"not whole: {broken[0].name}" if broken else ""


def power(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Cut the power in the middle of a search: what was not forced to the disk is lost, or torn."""
    rng = random.Random(seed)
    run_inputs(folder)
    search = folder / "s.yaml"
    vary = "{symbols.SIM.estimator.prominence: [0.2, 0.4]}"
    search.write_text(f"name: s\nexperiment: x.yaml\nvary: {vary}\n")
    (folder / "w.yaml").write_text("name: w\ndays: 60\nwarmup_days: 3\nmagnet: 1.0\n")
    words: list[object] = ["search", search, "--results"]
    whole = folder / "whole"
    said = call(*words, whole)
    assert said.code == 0, said
    shutil.rmtree(whole)
    start = time.perf_counter()
    assert ended(_logged([*words, whole], folder)) == 0
    seconds, wanted = time.perf_counter() - start, _searched(whole)
    tally = Tally("search: power cut, unsynced data dropped")
    for _ in range(n):
        place = emptied(folder / "try") / "r"
        after = rng.uniform(0.2, 1.0) * seconds
        child = _logged([*words, place], folder)
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        ended(child)
        tally.counts["files torn"] = tally.counts.get("files torn", 0) + _torn(place, folder, rng)
        problem = in_child(lambda: _same_search([*words, place], place, wanted))  # noqa: B023
        tally.check(f"after {after:.2f} s: {problem}" if problem else "")
    yield tally.row(f"over {seconds:.2f} s, each repeated")


def _logged(words: list[object], folder: Path) -> int:
    """Start a command whose forced writes are noted: a line for each file, with its size."""
    real, note = os.fsync, folder / "synced"
    note.write_text("")

    def fsync(handle: int) -> None:
        real(handle)
        name = handle if isinstance(handle, int) else handle.fileno()
        with note.open("a") as file:
            state = os.fstat(name)
            file.write(f"{state.st_ino} {state.st_size}\n")

    with mock.patch.object(os, "fsync", fsync):
        return spawn(words, folder / "err")


def _torn(place: Path, folder: Path, rng: random.Random) -> int:
    """Cut short what was not forced to the disk as it is now; return how many files that were."""
    synced = set((folder / "synced").read_text().splitlines())
    torn = 0
    for path in sorted(p for p in place.rglob("*") if p.is_file() and not p.is_symlink()):
        state = path.stat()
        if state.st_size and f"{state.st_ino} {state.st_size}" not in synced:
            os.truncate(path, rng.choice([0, rng.randrange(state.st_size)]))
            torn += 1
    return torn


def _searched(place: Path) -> str:
    """Return what a search left that counts: its document, its ledger, and its runs."""
    found = place / "searches" / "s"
    text = [(found / name).read_text() for name in ("search.json", "trials.jsonl")]
    runs = sorted((found / "runs").glob("x/*/manifest.json"))
    if not all(written.is_intact(path.parent) for path in runs):
        raise AssertionError("a run is not whole")
    left = [p.name for p in place.rglob(".*") if p.name.endswith((".tmp", ".parts"))]
    if left:
        raise AssertionError(f"left over: {left}")
    return "\n".join([*text, *(path.parent.name + path.read_text() for path in runs)])


def _same_search(words: list[object], place: Path, wanted: str) -> str:
    said = call(*words)
    if said.code or said.crash:
        return f"the repeat failed: {said.err} {said.crash}"
    return "" if _searched(place) == wanted else "the repeat has another end"
