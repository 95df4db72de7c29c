"""The campaign: batches in any number of processes, each kept as it ends, so that it can go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from liqbt.errors import DataError
from liqbt.validity.jobs import Job, one_batch

Progress: TypeAlias = Callable[[int, int], object]
"""Called with how many batches are done, and of how many."""

Results: TypeAlias = dict[Job, dict[str, Any]]
"""What each batch found: see `one_batch`."""


def run_campaign(
    jobs: Sequence[Job],
    *,
    worlds: Path,
    kept: Path,
    identity: str,
    root: int,
    processes: int = 1,
    progress: Progress = lambda _done, _total: None,
) -> Results:
    """Return what every job found; those that `kept` holds already are not run again.

    Parameters
    ----------
    jobs : sequence of Job
        What is asked for.
    worlds : Path
        Folder of the worlds' files.
    kept : Path
        A file of one JSON line per finished batch; made where there is none. Lines of another
        identity are left alone.
    identity : str
        Digest of what the results depend on: code, worlds, root seed.
    root : int
        Root seed.
    processes : int
        How many work at once; the results do not depend on it.
    progress : callable
        Told after every batch.

    Returns
    -------
    dict of Job to dict
        In the order of `jobs`.

    Raises
    ------
    DataError
        If a line of `kept` cannot be read; names the file and the line.
    """
    found = dict(_kept(kept, identity))
    left = [job for job in jobs if job.key not in found]
    kept.parent.mkdir(parents=True, exist_ok=True)
    _drop_unfinished(kept)
    done = len(jobs) - len(left)
    progress(done, len(jobs))
    work = partial(one_batch, folder=worlds, root=root)
    with kept.open("a", encoding="utf-8") as file:
        for job, result in zip(left, _results(work, left, processes), strict=True):
            line = {"identity": identity, "key": job.key, **result}
            file.write(json.dumps(line, sort_keys=True) + "\n")
            file.flush()
            found[job.key] = result
            done += 1
            progress(done, len(jobs))
    return {job: found[job.key] for job in jobs}


def _drop_unfinished(path: Path) -> None:
    """Cut the file after its last whole line: what was being written when it ended is no batch."""
    if not path.is_file():
        return
    whole = path.read_bytes().rpartition(b"\n")
    if whole[2]:
        with path.open("r+b") as file:
            file.truncate(len(whole[0]) + len(whole[1]))


def _results(
    work: Callable[[Job], dict[str, Any]], jobs: Sequence[Job], processes: int
) -> Iterator[dict[str, Any]]:
    if processes < 2:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        try:
            yield from pool.map(work, jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _kept(path: Path, identity: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the finished batches of this identity; an unfinished last line is none."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
            if row["identity"] == identity:
                yield row["key"], {"scores": row["scores"], "effects": row["effects"]}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}, line {number}: found {line[:40]!r}, expected a finished batch; delete "
                "the file to begin anew"
            ) from error
