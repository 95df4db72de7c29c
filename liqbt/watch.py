"""What an estimator reaches for besides its events, as far as Python's audit hooks can see.

A forecast is a function of events, configuration and seed. While code of one's own is imported,
built or asked (`during`), whatever it opens, connects to or starts is seen here: in the thread that
runs it, through `sys.addaudithook`. Reads that an estimator does while it is asked are refused;
what it reads before is named (`watched`), and is no secret where its class names it (`files`).
`CANNOT_SEE` says what this cannot see.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import zoneinfo
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, Final

from liqbt.errors import EstimatorError

CANNOT_SEE: Final = (
    "numbers written into code, or fitted on what is scored before the estimator was built",
    "what a library reads outside of Python other than by reading bytes (memory maps, NumPy's and "
    "pandas' own clock)",
    "what another thread or process reads",
    "code that knows that it is watched and undoes the watch",
)
"""What of an estimator no audit here can see, for people."""


class Phase(StrEnum):
    """What an estimator's code is being run for."""

    IMPORTED = "imported"
    BUILT = "built"
    ASKED = "asked"


_VERBS: Final = {
    "file": "reads {}",
    "network": "uses the network ({})",
    "process": "starts another process ({})",
    "native": "loads the native library {}",
    "written": "writes {}",
    "machine": "reads {} of the machine",
    "thread": "starts a thread ({})",
    "memory": "looks through the process's memory ({})",
    "callers": "looks at who calls it ({})",
    "clock": "reads the clock ({})",
    "bytes": "reads bytes of a file that Python does not see being opened",
    "globals": "changes its module's {} from one replay to the next",
}
REACHES: Final = frozenset({"file", "network", "process", "native", "bytes"})
"""What is refused while an estimator is asked, and fails an audit unless it is declared."""
_NETWORK: Final = ("socket.", "urllib.", "http.client.", "ftplib.", "smtplib.", "imaplib.")
_PROCESS: Final = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork")
_LISTS: Final = frozenset({"os.listdir", "os.scandir", "sqlite3.connect"})
_MEMORY: Final = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents"})
_PACKAGE: Final = Path(__file__).absolute().parent
_STOPS: Final = tuple(
    str(_PACKAGE / place)
    for place in (
        "replay.py",
        "study/estimators.py",
        "study/estimator_config.py",
        "study/own_code.py",
    )
)
"""The package's files that run an estimator's code: who lies beyond is not the estimator."""
_INSTALLED: Final = tuple(
    f"{place}{os.sep}"
    for folder in {
        _PACKAGE,
        *(Path(path) for path in zoneinfo.TZPATH),
        *(
            Path(path)
            for name, path in sysconfig.get_paths().items()
            if name in ("purelib", "platlib", "stdlib", "platstdlib")
        ),
    }
    for place in (folder, folder.resolve())
)
_MACHINE: Final = ("/proc/", "/sys/", "/dev/", "/etc/localtime", "/etc/timezone")
_CODE: Final = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".zip", ".egg", ".whl")
_IMPORTERS: Final = ("<frozen importlib", "<frozen zipimport", "linecache.py", "tokenize.py")
_TOOLS: Final = tuple(
    str(Path(place)) for place in ("numba/core/caching.py", "importlib/metadata/__init__.py")
)
"""What keeps compiled kernels and looks for what is installed, wherever that lies."""
_CLOCKS: Final = {
    *("time", "time_ns", "localtime", "gmtime", "ctime", "now", "utcnow", "today"),
    *("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "clock_gettime"),
}
_READS_IO: Final = "/proc/self/io"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Sighting:
    """One thing that an estimator reached for.

    Attributes
    ----------
    estimator : str
        Its class.
    phase : Phase
        What its code was being run for.
    what : str
        One of the kinds: `file`, `network`, `process`, `native`, `bytes` (these are `REACHES`),
        `written`, `machine`, `thread`, `memory`, `callers`, `clock`, `globals`.
    name : str
        Which: a file's name without its folder, an address, a function.
    by : str
        File and line of its own code that did; empty where none is on the stack.
    declared : bool
        Whether its class names it in `files`.
    """

    estimator: str
    phase: Phase
    what: str
    name: str
    by: str
    declared: bool = False

    def text(self) -> str:
        """Return it as a sentence without its subject."""
        said = _VERBS[self.what].format(self.name if self.what == "globals" else f"'{self.name}'")
        when = "" if self.what == "globals" else f" while it is {self.phase}"
        return f"{said}{when}" + (f" ({self.by})" if self.by else "")


@dataclass(slots=True, kw_only=True)
class Watch:
    """What was seen.

    Attributes
    ----------
    refuses : bool
        Whether what an estimator may not do while it is asked is refused, or only noted.
    closely : bool
        Whether clocks and bytes that are read outside of Python are looked at too, which costs.
    seen : Counter of Sighting
        How often each.
    """

    refuses: bool = True
    closely: bool = False
    seen: Counter[Sighting] = field(default_factory=Counter)


@dataclass(slots=True)
class _Now:
    """What the running thread is at."""

    phase: Phase
    who: str
    declared: frozenset[str]
    watch: Watch
    refused: Sighting | None = None
    explained: bool = False


class _Thread(threading.local):
    now: _Now | None = None
    watch: Watch | None = None
    busy: bool = False


_THREAD: Final = _Thread()
_HOOKED: Final[list[bool]] = []


@contextmanager
def watched(*, refuses: bool = True, closely: bool = False) -> Iterator[Watch]:
    """Collect what estimators reach for in this thread.

    Parameters
    ----------
    refuses, closely
        As in `Watch`.
    """
    before, watch = _THREAD.watch, Watch(refuses=refuses, closely=closely)
    _THREAD.watch = watch
    try:
        yield watch
    finally:
        _THREAD.watch = before


def note(sighting: Sighting) -> None:
    """Let whoever watches know of what was seen before."""
    if _THREAD.watch is not None:
        _THREAD.watch.seen[sighting] += 1


@contextmanager
def during(phase: Phase, who: str, files: Collection[Path] = ()) -> Iterator[None]:
    """Watch the code that runs in the block: it is an estimator's own.

    Parameters
    ----------
    phase : Phase
        What it is run for.
    who : str
        The estimator's class.
    files : collection of Path
        What the class says that it reads when it is built.

    Raises
    ------
    EstimatorError
        It reached for what is not to be had while it is asked, even if it caught the refusal.
    """
    if not _HOOKED:
        _HOOKED.append(True)
        sys.addaudithook(_hook)
    declared = frozenset(os.path.realpath(file) for file in files)
    outer = _THREAD.now
    now = _Now(phase, who, declared, _THREAD.watch or Watch())
    closely = now.watch.closely
    begun = _bytes_read() if closely else None
    profiler = sys.getprofile()
    _THREAD.now = now
    if closely:
        sys.setprofile(_profile)
    try:
        yield
    finally:
        if closely:
            sys.setprofile(profiler)
        _THREAD.now = outer
    if begun is not None:
        _compare_bytes(now, begun)
    if now.refused is not None and now.watch.refuses:
        raise EstimatorError(refusal(now.refused))


def refusal(sighting: Sighting) -> str:
    """Return why what was seen is refused."""
    return (
        f"it {sighting.text()}; a forecast is made of events alone: what else it needs is read "
        "when it is built, and named in its class's 'files'"
    )


def _hook(event: str, args: tuple[Any, ...]) -> None:
    """Note what watched code does; called by the interpreter for every event of the process."""
    now = _THREAD.now
    if now is None or _THREAD.busy:
        return
    _THREAD.busy = True
    try:
        found = _sighted(now, event, args)
    finally:
        _THREAD.busy = False
    if found is None:
        return
    now.watch.seen[found] += 1
    if now.phase is Phase.ASKED and found.what in REACHES:
        now.refused = now.refused or found
        if now.watch.refuses:
            raise EstimatorError(refusal(found))


def _sighted(now: _Now, event: str, args: tuple[Any, ...]) -> Sighting | None:
    what, name = _kind(event, args)
    if not what:
        return None
    if what in ("file", "listing", "written"):
        return _file(now, what, name)
    by, innermost, _ = _who()
    if what in ("native", "callers", "thread") and not by:
        return None
    if what == "callers" and not (innermost == by or innermost.startswith("inspect.py")):
        return None
    return Sighting(estimator=now.who, phase=now.phase, what=what, name=name, by=by)


def _kind(event: str, args: tuple[Any, ...]) -> tuple[str, str]:
    """Return what kind of thing an event is, and of what; empty where it is nothing here."""
    if event == "open":
        path, mode, flags = args
        if not isinstance(path, str | bytes | os.PathLike):
            return "", ""
        if isinstance(mode, str):
            writes = any(letter in mode for letter in "wax") and "+" not in mode
        else:
            writes = (flags or 0) & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY
        return ("written" if writes else "file"), os.fsdecode(path)
    if event in _LISTS:
        path = args[0] if args else "."
        return "listing", os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else "."
    if event.startswith(_NETWORK):
        return "network", event
    if event.startswith(_PROCESS):
        return "process", event
    if event in _MEMORY:
        return "memory", event
    if event == "ctypes.dlopen" and args[0]:
        return "native", Path(str(args[0])).name
    if event == "sys._getframe":
        return "callers", event
    if event == "_thread.start_new_thread":
        return "thread", event
    return "", ""


def _file(now: _Now, what: str, name: str) -> Sighting | None:
    """Return a file that was opened, unless it is code, or part of what is installed."""
    place = str(Path(name).absolute())
    by, innermost, tool = _who()
    imports = innermost.startswith(_IMPORTERS)
    code = what == "listing" or place.endswith(_CODE) or "__pycache__" in place
    if tool or (imports and code) or _is_installed(place):
        now.explained = True
        return None
    what = "written" if what == "written" else "file"
    if place.startswith(_MACHINE):
        if place.startswith("/dev/") or not by:
            return None
        what = "machine"
    now.explained = True
    return Sighting(
        estimator=now.who,
        phase=now.phase,
        what=what,
        name=place if what == "machine" else Path(place).name or place,
        by=by,
        declared=what == "file" and os.path.realpath(place) in now.declared,
    )


def _who() -> tuple[str, str, bool]:
    """Return the own code on the stack, the innermost, and whether a tool is between them."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == _hook.__code__.co_filename:
        frame = frame.f_back
    innermost = "" if frame is None else _short(frame)
    tool = False
    while frame is not None:
        file = frame.f_code.co_filename
        if file in _STOPS:
            break
        if not _is_installed(file):
            return _short(frame), innermost, tool
        tool = tool or file.endswith(_TOOLS)
        frame = frame.f_back
    return "", innermost, tool


def _short(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    return f"{file if file[:1] == '<' else Path(file).name}, line {frame.f_lineno}"


@lru_cache(maxsize=4096)
def _is_installed(file: str) -> bool:
    """Return whether a file is of the interpreter, of a package that is installed, or of here."""
    path = Path(file)
    return file[:1] == "<" or any(
        str(place).startswith(_INSTALLED) for place in (path.absolute(), path.resolve())
    )


def _profile(frame: FrameType, event: str, called: Any) -> None:
    """Note a clock that own code reads; called by the interpreter for every call."""
    if event != "c_call" or called.__name__ not in _CLOCKS:
        return
    now = _THREAD.now
    if now is None or _is_installed(frame.f_code.co_filename):
        return
    owner = getattr(called, "__self__", None)
    of = getattr(owner, "__name__", None) or type(owner).__name__
    if of in ("time", "datetime", "date"):
        name = f"{of}.{called.__name__}"
        now.watch.seen[
            Sighting(estimator=now.who, phase=now.phase, what="clock", name=name, by=_short(frame))
        ] += 1


def _bytes_read() -> tuple[int, int] | None:
    """Return how many bytes the process has read, and how many this look adds; None: unknown."""
    with suppress(OSError, ValueError):
        place = os.open(_READS_IO, os.O_RDONLY)
        try:
            data = os.read(place, 4096)
        finally:
            os.close(place)
        if data.startswith(b"rchar:"):
            return int(data.split(None, 2)[1]), len(data)
    return None


def _compare_bytes(now: _Now, begun: tuple[int, int]) -> None:
    """Note bytes that were read although no file was seen to be opened."""
    ended = _bytes_read()
    if ended is None or now.explained:
        return
    if ended[0] - begun[0] - begun[1] > 0:
        found = Sighting(estimator=now.who, phase=now.phase, what="bytes", name="natively", by="")
        now.watch.seen[found] += 1
        if now.phase is Phase.ASKED:
            now.refused = now.refused or found
