"""The one error tree: what was found, where, and what is expected instead."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 2000


class LiqbtError(Exception):
    """Base of every error that liqbt raises on purpose; its message is one clear sentence."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class ConfigError(LiqbtError):
    """A configuration or a command's argument cannot be right; names the file and the key."""


class RunawayError(ConfigError):
    """A simulated price left what its market is made for; names the world and the time."""


class DataError(LiqbtError):
    """Input data cannot be right; names the file, the row or the column."""


class OrderError(DataError):
    """Records are not in canonical order; names the offending rows."""


class EstimatorError(DataError):
    """An estimator failed, or returned what is no forecast; names it and the time."""


class LogError(LiqbtError):
    """An event log is missing, damaged or written by something else; names the file."""


class RefusedByLogError(LogError):
    """A log cannot take a file beside what it holds of the same file; says how it could."""


class MarginError(LiqbtError):
    """A margin rule is missing or contradicts itself; names symbol, date or bracket."""


class StoppedError(LiqbtError):
    """The work was stopped from outside; what is finished is kept."""


class WorkerKilledError(StoppedError):
    """The process that did a task was killed, and again when it was done alone."""


class AlreadyRunningError(LiqbtError):
    """Somebody else is writing the same log or the same run; names the lock."""


def first_line(error: BaseException) -> str:
    r"""Return the kind and the first line of what an error says, for a sentence about it.

    Examples
    --------
    >>> first_line(ValueError("no\nmore"))
    'ValueError: no'
    """
    return f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0][:200]


def reason_of(error: BaseException) -> str:
    r"""Return the first line of what an error says; its kind where it says nothing.

    Examples
    --------
    >>> reason_of(ValueError("no\nmore")), reason_of(EOFError())
    ('no', 'EOFError')
    """
    return "".join(str(error).splitlines()[:1])[:200] or type(error).__name__


def one_line(text: str) -> str:
    r"""Return `text` with what is not printable escaped: a hostile name stays within its line.

    The middle of what is longer than 2,000 characters is left out.

    Examples
    --------
    >>> one_line("a\nb")
    'a\\nb'
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
