"""What a campaign says: how many tries, how many were lost, and the first few that were."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Campaign", "Row", "Tally", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault: how often it was tried and how often something was lost.

    Attributes
    ----------
    fault : str
        What was done to the program.
    tried, lost : int
        Lost means: a traceback, no single clear sentence, another exit code than expected, damage
        that was not found, committed data missing or changed, or other digests after a repeat.
    note : str
        What else was counted.
    first : tuple of str
        The first few losses, for whoever mends them.
    skipped : str
        Why nothing could be tried, if nothing could.
    """

    fault: str
    tried: int
    lost: int
    note: str = ""
    first: tuple[str, ...] = ()
    skipped: str = ""


Campaign = Callable[[int, int, Path], Iterable[Row]]
"""`campaign(n, seed, folder)`: about `n` tries of each of its faults, in an empty folder."""


@dataclass(slots=True)
class Tally:
    """Counts the tries of one fault."""

    fault: str
    tried: int = 0
    lost: int = 0
    first: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def check(self, problem: str) -> None:
        """Count one try; `problem` is empty where nothing was lost."""
        self.tried += 1
        if problem:
            self.lost += 1
            if len(self.first) < 5:
                self.first.append(problem[:600])

    def count(self, what: str) -> None:
        """Count something that is worth a note."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def row(self, note: str = "") -> Row:
        """Return what was counted."""
        said = [note] if note else []
        said += [f"{n:,} {what}" for what, n in sorted(self.counts.items())]
        return Row(
            fault=self.fault,
            tried=self.tried,
            lost=self.lost,
            note=", ".join(said),
            first=tuple(self.first),
        )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table for people, the losses below it."""
    wide = max([len(r.fault) for r in rows] + [5])
    lines = [f"{'fault':<{wide}}{'tried':>10}{'lost':>7}  note"]
    for row in rows:
        note = f"skipped: {row.skipped}" if row.skipped else row.note
        lines.append(f"{row.fault:<{wide}}{row.tried:>10,}{row.lost:>7,}  {note}")
    tried, lost = sum(r.tried for r in rows), sum(r.lost for r in rows)
    lines.append(f"{'all':<{wide}}{tried:>10,}{lost:>7,}")
    lines += [f"\nLOST  {row.fault}: {text}" for row in rows for text in row.first]
    return "\n".join(lines)
