"""Who may write a run's folder, and whether what is there is whole."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from liqbt.errors import AlreadyRunningError
from liqbt.experiment.identity import sha256_file
from liqbt.experiment.store import Run, load_run

__all__ = ["finished_or_made", "is_intact", "run_lock", "set_aside"]


def is_intact(path: Path) -> bool:
    """Return whether `path` is a run's folder whose files are as they were written.

    A run can be made again, so its files are not forced to the disk when they are written; what a
    power cut has torn is found here.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        return bool(manifest["files"]) and all(
            sha256_file(path / name) == digest for name, digest in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def set_aside(path: Path) -> None:
    """Move a damaged run's folder out of the way; nothing happens where there is none."""
    if not path.exists():
        return
    n = 1
    while (aside := path.with_name(f"{path.name}.damaged-{n}")).exists():
        n += 1
    path.rename(aside)


@contextmanager
def run_lock(final: Path) -> Iterator[None]:
    """Hold the right to write `final`; it ends with the process, however that ends.

    Raises
    ------
    AlreadyRunningError
        If another process is writing this very run.
    """
    path = final.parent / ".locks" / final.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(
                f"{final}: another process is writing this run; wait for it to end"
            ) from None
        yield


def finished_or_made(final: Path, make: Callable[[], Run]) -> Run:
    """Return the finished run in `final`, or make it; nobody else can write it meanwhile.

    What is there and is not whole is set aside first.

    Parameters
    ----------
    final : Path
        The run's own folder.
    make : callable
        Writes the run there.

    Raises
    ------
    AlreadyRunningError
        If another process is writing this very run.
    """
    with run_lock(final):
        if is_intact(final):
            return load_run(final)
        set_aside(final)
        return make()
