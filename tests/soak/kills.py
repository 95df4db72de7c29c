"""Ctrl-C and SIGKILL at random moments, and two writers at once: real processes, forked warm.

The parent has imported and compiled everything; each child runs one command and is struck at a
uniformly random moment of the time that the undisturbed command took.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from liqbt.__main__ import main
from soak.disk import Job, jobs, repeated
from soak.row import Row, Tally
from soak.small import call, emptied, in_child

__all__ = ["at_once", "interrupted", "killed"]


def spawn(arguments: list[object], errors: Path) -> int:
    """Start a command in a fork of this process; its stderr goes to a file. Returns the id.

    As in a shell, Python shows no ResourceWarning, which an interrupt makes that comes between
    opening a file and keeping it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # not inside of the fork itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside idle threads
        child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return child
    signal.signal(signal.SIGINT, signal.default_int_handler)
    to = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(to, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what it had already said is no part of an error
    warnings.simplefilter("ignore", ResourceWarning)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    sys.argv = ["liqbt", *map(str, arguments)]
    code = 70
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    except KeyboardInterrupt:  # before the command had begun
        os._exit(0)
    try:  # whatever happens here, this copy of the campaign must not unwind and clean up
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException as error:
            print(f"Traceback of {type(error).__name__}: {error}", file=sys.stderr)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Return the exit code of a child, negative for a signal."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def interrupted(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Strike each job `n` times with Ctrl-C; repeat it after every strike."""
    return _strikes("Ctrl-C", signal.SIGINT, n, seed, folder)


def killed(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Strike each job `n` times with SIGKILL; repeat it after every strike."""
    return _strikes("SIGKILL", signal.SIGKILL, n, seed, folder)


def _strikes(what: str, number: int, n: int, seed: int, folder: Path) -> Iterator[Row]:
    rng = random.Random(f"{what} {seed}")
    for job in jobs(folder / "in"):
        seconds, wanted = _undisturbed(job, folder)
        tally = Tally(f"{job.name}: {what} at a random moment")
        for _ in range(n):
            after = rng.uniform(0.0, 1.05 * seconds)
            place = emptied(folder / "try")
            tally.check(_struck(job, place, folder / "err", number, after, wanted, tally))
        yield tally.row(f"over {seconds:.2f} s, each repeated")


def _undisturbed(job: Job, folder: Path) -> tuple[float, str]:
    """Return how long the job takes and its digest: in forks, the parent stays without threads."""
    call(*job.arguments(emptied(folder / "warm")))
    took = []
    for _ in range(2):
        place = emptied(folder / "whole")
        start = time.perf_counter()
        code = ended(spawn(job.arguments(place), folder / "err"))
        took.append(time.perf_counter() - start)
        assert code == 0, (folder / "err").read_text()
    return min(took), job.digest(folder / "whole")


def _struck(
    job: Job, place: Path, errors: Path, number: int, after: float, wanted: str, tally: Tally
) -> str:
    child = spawn(job.arguments(place), errors)
    time.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
    code = ended(child)
    said = errors.read_text(errors="replace") if errors.exists() else ""
    problem = ""
    if code == 0:
        tally.count("ended before")
    elif number == signal.SIGINT:
        lines = [line for line in said.splitlines() if line.strip()]
        if code != 130 or len(lines) != 1 or "interrupted" not in lines[0]:
            problem = f"exit {code}, said {said[-400:]!r}"
    elif code != -signal.SIGKILL:
        problem = f"exit {code}, said {said[-400:]!r}"
    problem = problem or in_child(lambda: repeated(job, place, wanted))
    return f"after {after:.3f} s: {problem}" if problem else ""


def at_once(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Start two of each job on the same folder at once, `n` rounds; one may be turned away."""
    rng = random.Random(seed)
    for job in jobs(folder / "in"):
        seconds, wanted = _undisturbed(job, folder)
        tally = Tally(f"{job.name}: two at once")
        for _ in range(n):
            place = emptied(folder / "try")
            apart = rng.choice([0.0, 0.0, rng.uniform(0, seconds)])
            tally.check(_both(job, place, folder, apart, wanted, tally))
        yield tally.row("rounds")


def _both(job: Job, place: Path, folder: Path, apart: float, wanted: str, tally: Tally) -> str:
    errors = [folder / "err0", folder / "err1"]
    first = spawn(job.arguments(place), errors[0])
    time.sleep(apart)
    second = spawn(job.arguments(place), errors[1])
    for child, path in ((first, errors[0]), (second, errors[1])):
        code, said = ended(child), path.read_text()
        if code == 0:
            tally.count("done")
        elif code == 2 and "another process is writing" in said and len(said.splitlines()) == 1:
            tally.count("turned away")
        else:
            return f"exit {code}: {said[-400:]!r}"
    return in_child(lambda: repeated(job, place, wanted))
