"""A forward record: what was issued each day, written down before its outcome, in one chain.

`results/forward/<experiment>/chain.jsonl` has a first line that says what is recorded and from when
on, and a line for each day: digests of the events that were known, of the forecasts that were
issued and of their files. Each line carries its own digest and that of the line before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from liqbt.config.fields import moment_ns
from liqbt.errors import ConfigError, DataError
from liqbt.log.disk import sha256
from liqbt.registry.ledger import add_line, read_chain, run_identity
from liqbt.types import Ns

CHAIN: Final = "chain.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a chain is a record of.

    Attributes
    ----------
    experiment, registration : str
        The experiment's name, and the hash of the registration that fixes it.
    start : str
        The midnight (UTC, ISO) after which forecasts are recorded.
    written : str
        When this was written down, ISO in UTC.
    """

    experiment: str
    registration: str
    start: str
    written: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One day of a chain.

    Attributes
    ----------
    number : int
        1 for the first day.
    until : str
        The midnight that ends it, ISO in UTC: forecasts after the one before, and of it.
    written : str
        When it was written down, ISO in UTC.
    events : mapping of str to mapping
        By market: how many events (`n`) were known before `until`, and the `digest` of those that
        became known since the link before, which holds that link's digest.
    issued : mapping of str to mapping
        By `ESTIMATOR/MARKET`: `n` forecasts, the `digest` of their bytes, and the SHA-256 of their
        `file` and of the estimator's `state` at the end of the day.
    despite : mapping
        Feeds that were `silent` at the end of the day, and the `reason` why it was issued all the
        same; empty where none was.
    """

    number: int
    until: str
    written: str
    events: Mapping[str, Mapping[str, Any]]
    issued: Mapping[str, Mapping[str, Any]]
    despite: Mapping[str, Any] = field(default_factory=dict)

    @property
    def until_ns(self) -> Ns:
        """The midnight that ends it."""
        return moment_ns(self.until)

    @property
    def written_ns(self) -> Ns:
        """When it was written down."""
        return moment_ns(self.written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain as it was read.

    Attributes
    ----------
    folder : Path
        Where it is kept.
    start : Start
        What it is a record of.
    links : tuple of Link
        Its days.
    lines : tuple of bytes
        What stands in the file.
    """

    folder: Path
    start: Start
    links: tuple[Link, ...]
    lines: tuple[bytes, ...]

    @property
    def head(self) -> str:
        """SHA-256 of its last line: who publishes it, can show later what was written by then."""
        return sha256(self.lines[-1])

    @property
    def begins_ns(self) -> Ns:
        """The midnight after which forecasts are recorded."""
        return moment_ns(self.start.start)

    @property
    def until_ns(self) -> Ns:
        """The end of its last day; `begins_ns` where it has none."""
        return self.links[-1].until_ns if self.links else self.begins_ns

    def day_folder(self, link: Link) -> Path:
        """Return where the files of a day are."""
        return self.folder / "days" / link.until[:10]


def forward_folder(results: Path, experiment: str) -> Path:
    """Return where the forward record of an experiment is kept."""
    return results / "forward" / experiment


def read_forward(folder: Path) -> Chain:
    """Read a chain and hold it against its digests.

    Raises
    ------
    ConfigError
        If there is none.
    DataError
        If a line was altered or taken out; names file and line.
    """
    path = folder / CHAIN
    if not path.is_file():
        raise ConfigError(f"{path}: no forward record; liqbt forward init begins one")
    read = read_chain(path, path.read_bytes().splitlines(), _entry)
    start = read[0][0] if read else None
    if not isinstance(start, Start):
        raise DataError(f"{path}: is empty; a record is only ever added to: bring it back")
    return Chain(
        folder=folder,
        start=start,
        links=tuple(entry for entry, _ in read if isinstance(entry, Link)),
        lines=tuple(line for _, line in read),
    )


def _entry(number: int, row: dict[str, Any]) -> Start | Link:
    if row.pop("digest") != run_identity(row):
        raise ValueError("it is not what its digest says")
    if number == 1:
        return Start(**row)
    if row["number"] != number - 1:
        raise ValueError("it does not follow the line before it")
    return Link(**row)


def append(folder: Path, lines: Sequence[bytes], entry: Start | Link) -> None:
    """Add an entry behind the lines of a chain; the caller holds the folder's lock."""
    row = asdict(entry)
    add_line(folder / CHAIN, lines, {**row, "digest": run_identity(row)})
