"""The schema that editors read knows every key that is written, and none that is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from shell import call

from liqbt.config.yaml import read_yaml
from liqbt.search.editors import editor_schema

ROOT = Path(__file__).resolve().parent.parent.parent
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str) -> list[str]:
    """What a value has against the part of JSON Schema that is used here."""
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    if "anyOf" in schema:
        each = [problems(value, one, root, where) for one in schema["anyOf"]]
        return [] if [] in each else min(each, key=len)
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {schema['enum']}"]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kinds |= {"integer": int, "number": (int, float)}
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if "pattern" in schema and not re.search(schema["pattern"], str(value)):
        return [f"{where}: {value!r} is not {schema['pattern']}"]
    found = []
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        names = schema.get("propertyNames", {})
        for key, inner in value.items():
            found += problems(key, names, root, f"{where}: the key {key}")
            if key in known:
                found += problems(inner, known[key], root, f"{where}.{key}")
            elif isinstance(rest, dict):
                found += problems(inner, rest, root, f"{where}.{key}")
            elif not rest:
                found.append(f"{where}: unknown key {key}")
        found += [f"{where}: no {key}" for key in schema.get("required", ()) if key not in value]
    if isinstance(value, list):
        for i, inner in enumerate(value):
            found += problems(inner, schema.get("items", {}), root, f"{where}.{i}")
    return found


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_what_ships_is_what_the_schema_describes(path):
    schema = editor_schema("experiment")
    written = dict(read_yaml(path))
    if "estimator" in written:  # the older way to write it
        written.pop("estimator")
    assert problems(written, schema, schema, path.name) == []


def test_what_is_refused_is_not_described():
    schema = editor_schema("experiment")
    good = dict(read_yaml(ROOT / "experiments" / "demo.yaml"))
    for wrong, says in (
        ({"horizon": 1}, "unknown key horizon"),
        ({"schedule": {"every": 3600}}, "is no string"),
        ({"schedule": {"every": "an hour"}}, "an hour"),
        ({"estimators": {"a": {"params": {}}}}, "no use"),
        ({"symbols": {"SIM": {"events": {"marks": "simulated/SIM"}}}}, "the key marks"),
    ):
        found = problems({**good, **wrong}, schema, schema, "e")
        assert any(says in one for one in found), (wrong, found)


def test_the_command_prints_each(monkeypatch, capsys):
    for file in ("experiment", "search", "grid"):
        code, out, _ = call(monkeypatch, capsys, "schema", file)
        assert code == 0
        assert json.loads(out)["title"]
    code, _, err = call(monkeypatch, capsys, "schema", "experimnt")
    assert (code, "did you mean 'experiment'" in err) == (2, True)
