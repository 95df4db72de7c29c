"""Full disks, broken disks and read-only folders, for everything that writes."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from liqbt.log.store import EventLog
from soak.faulty import Disk, counted, full, io_error
from soak.row import Row, Tally
from soak.small import (
    call,
    clear,
    digest_of_log,
    digest_of_run,
    emptied,
    in_child,
    ingest_inputs,
    run_inputs,
)

__all__ = ["failing_disk", "full_disk", "read_only"]

_TAKES_SPACE = {"write", "create", "mkdir", "link", "parquet", "fsync"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command that writes below a folder, and the digest of what it leaves there."""

    name: str
    arguments: Callable[[Path], list[object]]
    digest: Callable[[Path], str]


def jobs(inputs: Path) -> list[Job]:
    """Return the jobs; their inputs lie in `inputs`."""
    column_map, files = ingest_inputs(inputs)
    experiment = run_inputs(inputs)
    world = inputs / "w.yaml"
    return [
        Job(
            name="ingest",
            arguments=lambda f: [
                "ingest",
                column_map,
                *files,
                "--log",
                f / "log",
                "--max-bad",
                "1",
            ],
            digest=lambda f: digest_of_log(f / "log"),
        ),
        Job(
            name="simulate",
            arguments=lambda f: [
                "simulate",
                world,
                "--seed",
                3,
                "--log",
                f / "log",
                "--truth",
                f / "t",
            ],
            digest=lambda f: digest_of_log(f / "log") + _files(f / "t"),
        ),
        Job(
            name="run",
            arguments=lambda f: ["run", experiment, "--results", f / "r"],
            digest=lambda f: digest_of_run(f / "r") + _cache(f / "r" / ".cache"),
        ),
    ]


def _files(folder: Path) -> str:
    return str(sorted((p.name, p.stat().st_size) for p in folder.iterdir()))


def _cache(folder: Path) -> str:
    """Return the digests of the cached logs and tapes; raise where something lies half-written."""
    stray = [p.name for p in folder.rglob("*.tmp")]
    if stray:
        raise AssertionError(f"left over in the cache after a whole run: {stray[0]}")
    return str([digest_of_log(p) for p in sorted((folder / "logs").iterdir()) if p.is_dir()])


def committed_is_there(folder: Path) -> str:
    """Return what is wrong with the logs and runs below `folder`; empty where nothing is."""
    for head in folder.rglob("log.json"):
        if head.parent.parent.name == "quarantine":
            continue
        problems = EventLog(head.parent).verify()
        if problems:
            return f"verify: {problems[0]}"
    from liqbt.study.written import is_intact

    for manifest in folder.rglob("manifest.json"):
        if not manifest.parent.name.endswith(".tmp") and not is_intact(manifest.parent):
            return f"half-written run {manifest.parent}"
    return ""


def repeated(job: Job, folder: Path, wanted: str) -> str:
    """Repeat a job without a fault; return what is lost, if anything is."""
    problem = committed_is_there(folder)
    if problem:
        return problem
    said = call(*job.arguments(folder))
    if said.code or said.crash:
        return f"the repeat failed: {said.err[-300:]} {said.crash[-300:]}"
    try:
        return "" if job.digest(folder) == wanted else "the repeat has another digest"
    except AssertionError as error:
        return str(error)


def failing_disk(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Let the k-th operation fail, once or from then on, for every k (at most `n` tries a row)."""
    rng = random.Random(seed)
    for job in jobs(folder / "in"):
        call(*job.arguments(emptied(folder / "warm")))  # compiles, writes caches of its own
        disk = Disk(0, full)
        with counted(disk):
            said = call(*job.arguments(emptied(folder / "whole")))
        assert said.code == 0, said
        wanted = job.digest(folder / "whole")
        for what, act, lasting in (
            ("disk full from the k-th operation on", full, True),
            ("disk full at the k-th operation only", full, False),
            ("input/output error at the k-th operation", io_error, False),
        ):
            tally = Tally(f"{job.name}: {what}")
            places = list(range(1, disk.seen + 1))
            for k in places if len(places) <= n else sorted(rng.sample(places, n)):
                tally.check(_failed_at(job, folder / "try", k, act, lasting, wanted))
            yield tally.row(f"of {disk.seen} operations")


def _failed_at(
    job: Job, folder: Path, k: int, act: Callable[[str], None], lasting: bool, wanted: str
) -> str:
    emptied(folder)

    def from_then_on(name: str) -> None:
        disk.at += 1
        if name in _TAKES_SPACE:
            act(name)

    disk = Disk(k, from_then_on if lasting else act)
    with counted(disk):
        said = call(*job.arguments(folder))
    problem = "" if said.code == 0 and not said.crash else clear(said)
    problem = problem or repeated(job, folder, wanted)
    name = disk.names[k - 1] if k <= disk.seen else "beyond the end"
    return f"k={k} ({name}): {problem}" if problem else ""


@contextlib.contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[None]:
    """Mount a tmpfs at `folder` meanwhile; needs root.

    Raises
    ------
    PermissionError
        It cannot be mounted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PermissionError("a tmpfs cannot be mounted here") from error
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def full_disk(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Run every job on a real file system that is too small, of `n` sizes, then give it room."""
    rng = random.Random(seed)
    for job in jobs(folder / "in"):
        tally = Tally(f"{job.name}: a real disk (tmpfs) too small")
        said = call(*job.arguments(emptied(folder / "whole")))
        assert said.code == 0, said
        wanted = job.digest(folder / "whole")
        used = sum(p.stat().st_blocks * 512 for p in (folder / "whole").rglob("*"))
        for _ in range(n):
            size = max(4096, int(used * rng.random()) // 4096 * 4096)
            try:
                with tmpfs(folder / "small", f"size={size}"):
                    problem = _too_small(job, folder / "small", wanted)
            except PermissionError as error:
                yield Row(fault=tally.fault, tried=0, lost=0, skipped=str(error))
                return
            if problem != "it fits":
                tally.check(f"size={size}: {problem}" if problem else "")
        yield tally.row(f"sizes below {used:,} bytes")


def _too_small(job: Job, folder: Path, wanted: str) -> str:
    said = call(*job.arguments(folder))
    if said.code == 0 and not said.crash:
        return "it fits"
    problem = clear(said)
    if not problem:
        subprocess.run(
            ["mount", "-o", "remount,size=64m", str(folder)], check=True, capture_output=True
        )
        problem = repeated(job, folder, wanted)
    return problem


def read_only(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Run every job into a folder that cannot be written: as another user, or mounted so."""
    del n, seed
    for job in jobs(folder / "in"):
        tally = Tally(f"{job.name}: read-only folder")
        call(*job.arguments(emptied(folder / "warm")))  # imports what another user may not read
        for prepared in (False, True):
            place = emptied(folder / "ro")
            if prepared:
                call(*job.arguments(place))
                shutil.rmtree(place / "r" / "x", ignore_errors=True)
            before = _listing(place)
            for path in [place, *place.rglob("*")]:
                path.chmod(0o555 if path.is_dir() else 0o444)

            def work() -> str:
                if os.getuid() == 0:
                    os.setuid(65534)
                said = call(*job.arguments(place))  # noqa: B023
                done = said.code == 0 and not said.crash and prepared  # noqa: B023
                return "" if done and job.name == "ingest" else clear(said)  # noqa: B023

            problem = in_child(work)
            for path in [place, *place.rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)
            if not problem and _listing(place) != before:
                problem = "something was written"
            tally.check(problem)
        yield tally.row()


def _listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(p), p.stat().st_size) for p in folder.rglob("*"))
