"""JSON Schema of the files that people write, so that editors complete and check them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from liqbt.config.fields import DURATION_SCHEMA, format_duration
from liqbt.config.yaml import nearest
from liqbt.errors import ConfigError
from liqbt.estimators.base import registered_estimators
from liqbt.search.grid import GridConfig
from liqbt.search.schema import SearchConfig
from liqbt.study.schema import Experiment
from liqbt.types import Kind

FILES: Final[Mapping[str, type[BaseModel]]] = {
    "experiment": Experiment,
    "grid": GridConfig,
    "search": SearchConfig,
}


def editor_schema(file: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a kind of file.

    Parameters
    ----------
    file : str
        `experiment`, `search` or `grid`.

    Raises
    ------
    ConfigError
        If there is no such kind.

    Examples
    --------
    >>> editor_schema("experiment")["$defs"]["ScheduleConfig"]["properties"]["every"]["default"]
    '1h'
    """
    if file not in FILES:
        raise ConfigError(f"no file is called '{file}'; {nearest(file, FILES)}")
    schema: dict[str, Any] = _written(FILES[file].model_json_schema())
    if file == "experiment":
        known = [{"enum": sorted(registered_estimators())}, {"pattern": "^[\\w.]+:\\w+$"}]
        schema["$defs"]["EstimatorConfig"]["properties"]["use"]["anyOf"] = known
        kinds = {"enum": [kind.name.lower() for kind in Kind]}
        schema["$defs"]["MarketConfig"]["properties"]["events"]["propertyNames"] = kinds
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **schema}


def _written(value: Any) -> Any:
    """Return a part of a schema with durations as they are written, and without null titles."""
    if isinstance(value, list):
        return [_written(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: _written(item) for key, item in value.items()}
    kinds = [out, out.get("items", {}), *out.get("anyOf", ())]
    if any(isinstance(k, dict) and k.get("format") == DURATION_SCHEMA["format"] for k in kinds):
        for bound in ("minimum", "exclusiveMinimum"):
            out.pop(bound, None)
        default = out.get("default")
        if isinstance(default, list):
            out["default"] = [format_duration(each) for each in default]
        elif isinstance(default, int):
            out["default"] = format_duration(default)
    return out
