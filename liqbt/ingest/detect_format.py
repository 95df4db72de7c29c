"""Which of a vendor's formats a file is in, told by the names of its columns."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from liqbt.errors import ConfigError, DataError, reason_of
from liqbt.ingest.files import magic_of, read_head


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns: a CSV's header, or a Parquet schema.

    Raises
    ------
    DataError
        The file is missing, empty or damaged.
    """
    try:
        if magic_of(path) != b"PAR1":
            return read_head(path, lines=1)[0]
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path} is no readable Parquet file: {reason_of(error)}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or reason_of(error)}") from None


def detect_format(
    path: Path, vendor: str, formats: Mapping[str, tuple[str, ...]], given: str | None
) -> str:
    """Return the format of a file: the one that is given, or the one whose columns it has.

    Parameters
    ----------
    path : Path
        The file.
    vendor : str
        Names the vendor in messages.
    formats : mapping of str to tuple of str
        Format to columns that only its files have together.
    given : str or None
        What the caller says it is.

    Raises
    ------
    ConfigError
        `given` is no format of the vendor; names the nearest.
    DataError
        The columns are those of none, or of several.
    """
    if given is not None:
        if given not in formats:
            near = difflib.get_close_matches(given, list(formats), n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{vendor} has no format {given!r}: it has {sorted(formats)}{hint}")
        return given
    names = set(column_names(path))
    fitting = [name for name, columns in formats.items() if names.issuperset(columns)]
    if len(fitting) != 1:
        what = f"fits several ({fitting})" if fitting else "is of none"
        has = [n[:40] for n in sorted(names)[:12]]
        raise DataError(
            f"{path}: its columns {has} are those of no single {vendor} format of "
            f"{sorted(formats)}: it {what}; say which"
        )
    return fitting[0]
