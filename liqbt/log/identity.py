"""The identity of a table: its meaning, whatever wrote it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from liqbt.log.schema import NAME_COLUMNS, SCHEMA_VERSION, name_codes, normal_form

__all__ = ["logical_hash"]


def logical_hash(table: pa.Table) -> str:
    """Return the SHA-256 of a table's meaning: schema, units and values, not of any file.

    It depends neither on the writer nor on chunks, dictionaries or the version of pyarrow.
    """
    schema = [
        [f.name, "name" if pa.types.is_dictionary(f.type) else str(f.type), _unit(f)]
        for f in table.schema
    ]
    kind = (table.schema.metadata or {}).get(b"liqbt.kind", b"").decode()
    head = {"kind": kind, "version": SCHEMA_VERSION, "schema": schema, "rows": table.num_rows}
    digest = hashlib.sha256(_json(head))
    for field in table.schema:
        if field.name in NAME_COLUMNS:
            names, codes = name_codes(table[field.name])
            digest.update(_json(names))
            values: npt.NDArray[Any] = codes
        else:
            values = table[field.name].to_numpy()
            values = normal_form(values) if values.dtype.kind == "f" else values
        digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _unit(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"unit", b"").decode())
