"""What became of one file, for the log's commit and for the reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from liqbt.ingest.rows import Latency

READER: Final = "tabular 1"
"""Goes up when the same file and map would give other events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of one file.

    Attributes
    ----------
    file, file_sha256 : str
        Its name, without folders, and digest.
    map, map_sha256 : str
        The column map's name and digest.
    join_file, join_sha256 : str
        The second file's path below the data root and digest; empty where there is none.
    rows : int
        Rows in the file.
    filtered, unmatched, quarantined : int
        Rows left out by `where`, rows without a partner in the second file, rows put aside.
    reasons : mapping of str to int
        Why rows were put aside.
    empty : mapping of str to int
        By kind: rows that gave no such event because its optional fields were empty.
    events : mapping of str to int
        By kind: events made.
    latency : tuple of Latency
        By instrument and kind: when an event is known, and whether that was observed.
    price_is : mapping of str to str
        By kind: what the price is, where the map says it.
    notes : mapping of str to str, int or float
        What a vendor's reader says about the file, such as `throttle` or `doubled_rows`.
    reader : str
        Which code made the events; goes up when the same file and map would give other events.
    """

    file: str
    file_sha256: str
    map: str
    map_sha256: str
    join_file: str
    join_sha256: str
    rows: int
    filtered: int
    unmatched: int
    quarantined: int
    reasons: Mapping[str, int]
    empty: Mapping[str, int]
    events: Mapping[str, int]
    latency: tuple[Latency, ...]
    price_is: Mapping[str, str]
    notes: Mapping[str, Any] = field(default_factory=dict)
    reader: str = READER

    def source(self) -> dict[str, Any]:
        """Return the summary as the plain mapping that a log's commit carries."""
        latency = [x._asdict() for x in self.latency]
        said = {x.latency_is for x in self.latency}
        value = asdict(self)
        if not self.notes:
            del value["notes"]
        return {
            **value,
            "latency": latency,
            "latency_is": "observed" if said == {"observed"} else "modelled",
        }
