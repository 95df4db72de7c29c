"""The pages of the site that the code writes itself: each a function that returns Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import griffe

from liqbt.cli import cli
from liqbt.config.fields import format_duration
from liqbt.estimators import MapParams, registered_estimators
from liqbt.evaluation.claims.register import REGISTER
from liqbt.evaluation.config import METHOD
from liqbt.report.narrative import VERDICT_WORDS
from liqbt.report.notes import definitions
from liqbt.report.sections.design import GLOSSARY
from liqbt.search.editors import FILES, editor_schema

PUBLIC = ("liqbt", "liqbt.estimators", "liqbt.trading", "liqbt.pytest_plugin")


def plain(text: str) -> str:
    """Return text in which nothing is taken for HTML, but for what stands in backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if i % 2 else p.replace("<", "&lt;") for i, p in enumerate(parts))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; nothing where there are no rows."""
    lines = [[plain(" ".join(cell.split())).replace("|", "\\|") for cell in row] for row in rows]
    names = list(head)
    if not lines:
        return ""
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, ["---"] * len(names), *lines])


def page(*parts: str) -> str:
    """Return parts as a page."""
    return "\n\n".join(part for part in parts if part) + "\n"


def commands(group: click.Group, above: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below a group with its full name."""
    for name, command in group.commands.items():
        yield f"{above} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{above} {name}")


def cli_page() -> str:
    """Return every command with its usage, options and examples."""
    parts = ["# Command line", "Exit codes: 0 done, 1 a check found something, 2 bad input."]
    for name, command in commands(cli, "liqbt"):
        context = click.Context(command, info_name=name)
        parts += [f"## {name}", f"```text\n{' '.join(command.get_usage(context).split())}\n```"]
        parts.append(plain((command.help or "").replace("\b\n", "")))
        shown = (p.get_help_record(context) for p in command.params)
        parts.append(table(("option", "does"), ((f"`{r[0]}`", r[1]) for r in shown if r)))
        if command.epilog:
            lines = command.epilog.replace("\b", "").strip().splitlines()[1:]
            parts.append("```bash\n" + "\n".join(line.strip() for line in lines) + "\n```")
    return page(*parts)


def _kind(found: dict[str, Any]) -> str:
    """Return what a schema's value may be, in words."""
    if "$ref" in found:
        name = found["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in found:
            return " or ".join(dict.fromkeys(_kind(one) for one in found[key]))
    if "enum" in found:
        return ", ".join(f"`{one}`" for one in found["enum"])
    kind, inner = found.get("type", "any"), found.get("items", found.get("additionalProperties"))
    words = {"array": "a list of ", "object": "names with "}
    if kind in words and isinstance(inner, dict):
        return words[kind] + _kind(inner)
    return str(found.get("format", "nothing" if kind == "null" else kind))


def schema_page() -> str:
    """Return the keys of every kind of file that people write."""
    parts = [
        "# Files in YAML",
        "An unknown key is an error that names the nearest known one. Editors complete by the JSON "
        "Schema of each kind: `liqbt schema experiment > experiment.schema.json`, and in the "
        "file's first line `# yaml-language-server: $schema=experiment.schema.json`.",
        ", ".join(f"[{kind}.schema.json]({kind}.schema.json)" for kind in FILES),
    ]
    said: set[str] = set()
    for kind in FILES:
        schema = editor_schema(kind)
        own = {f"The file: {kind}": schema}
        for name, found in {**own, **schema.get("$defs", {})}.items():
            if name in said or "properties" not in found:
                if "enum" in found and name not in said:
                    parts += [f"## {name}", _kind(found)]
                    said.add(name)
                continue
            said.add(name)
            must = found.get("required", ())
            rows = [
                (
                    f"`{key}`",
                    _kind(one),
                    "must be given" if key in must else f"`{json.dumps(one.get('default'))}`",
                )
                for key, one in found["properties"].items()
            ]
            words = plain(str(found.get("description", "")).partition("\n\n")[0])
            parts += [f"## {name}", words, table(("key", "value", "default"), rows)]
    return page(*parts)


def write_schemas(folder: Path) -> None:
    """Write the JSON Schema of each kind of file."""
    for kind in FILES:
        text = json.dumps(editor_schema(kind), indent=1, ensure_ascii=False)
        (folder / f"{kind}.schema.json").write_text(text + "\n", encoding="utf-8")


def claims_page() -> str:
    """Return every claim with what decides it."""
    parts = ["# Claims", "What `liqbt claims list` prints. A claim is fixed before the run."]
    for claim in REGISTER:
        rows = [
            ("status", claim.status.value),
            ("what is estimated", claim.estimand),
            ("no information gives", claim.null),
            ("decided by", f"`{claim.statistic}`, {claim.horizon}"),
            ("supported when", claim.pass_rule),
        ]
        words = " ".join(filter(None, (claim.number, claim.id)))
        parts += [f"## {words}", claim.words, table(("", ""), rows)]
    return page(*parts)


def _default(value: Any, kind: str) -> str:
    if "Duration" in kind and isinstance(value, int):
        return format_duration(value)
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return "; ".join(f"{one.leverage:g}× {one.weight:g}" for one in value)
    return repr(value)


def _parameters(params: type) -> list[tuple[str, str]]:
    """Return the name and default of every parameter of an estimator."""
    if is_dataclass(params):
        shown = []
        for one in fields(params):
            made = one.default_factory() if one.default_factory is not MISSING else one.default
            shown.append((f"`{one.name}`", f"`{_default(made, str(one.type))}`"))
        return shown
    return [
        (f"`{k}`", f"`{_default(f.get_default(call_default_factory=True), str(f.annotation))}`")
        for k, f in params.model_fields.items()  # type: ignore[attr-defined]
    ]


def estimators_page() -> str:
    """Return every built-in estimator with its parameters."""
    shared = _parameters(MapParams)
    parts = [
        "# Built-in estimators",
        "`use:` in an experiment names one of these, or [your own](../how-to/estimator.md).",
        "All have these parameters, which say how a density becomes a forecast:",
        table(("key", "default"), shared),
    ]
    for name, found in registered_estimators().items():
        kinds = [kind.name.lower() for kind in found.needs]
        if any_of := [kind.name.lower() for kind in getattr(found, "needs_any", ())]:
            kinds.append(f"one of {', '.join(any_of)}")
        needs = " and ".join(kinds) or "no kind in particular"
        words = (found.__doc__ or "").strip().partition("\n\n")[0]
        rows = [row for row in _parameters(found.Params) if row not in shared]
        parts += [f"## {name}", plain(words), f"Needs {needs}.", table(("key", "default"), rows)]
    return page(*parts)


def glossary_page() -> str:
    """Return the terms of the reports, the words of verdicts among them."""
    usual: Any = SimpleNamespace(
        config={"evaluation": METHOD.model_dump(mode="json")}, pooling=(True,)
    )
    words = [(f"Verdict: {word.value}", text) for word, text in VERDICT_WORDS.items()]
    rows = sorted((*definitions(usual), *GLOSSARY), key=lambda row: row[0].lower())
    return page(
        "# Glossary",
        "The terms of every report, with the settings that hold unless an experiment has others.",
        *(f"**{term}**: {plain(text)}" for term, text in [*rows, *words]),
    )


def _sections(docstring: griffe.Docstring | None) -> Iterator[str]:
    """Yield the parts of a docstring."""
    for part in docstring.parse("numpy", warn_unknown_params=False) if docstring else ():
        value, name = part.value, part.kind.value.capitalize()
        if part.kind is griffe.DocstringSectionKind.text:
            yield plain(value)
        elif part.kind is griffe.DocstringSectionKind.examples:
            shown = [text if k.value == "text" else f"```pycon\n{text}\n```" for k, text in value]
            yield "\n\n".join(["**Examples**", *shown])
        elif part.kind is griffe.DocstringSectionKind.admonition:
            yield f"**{part.title}**: {plain(value.contents)}"
        else:
            rows = [
                (f"`{getattr(one, 'name', '') or one.annotation}`", str(one.description))
                for one in value
            ]
            yield table((name, ""), rows)


def _member(found: griffe.Object | griffe.Alias, name: str, depth: int) -> Iterator[str]:
    """Yield the heading, signature and docstring of a public object, and of its members."""
    yield f"{'#' * depth} {name}"
    if found.is_function:
        own = name.rpartition(".")[2]
        yield f"```python\n{own}{found.signature(return_type=True, name='')}\n```"
    yield from _sections(found.docstring)
    if found.is_class:
        for inner, one in found.members.items():
            if not inner.startswith("_") and not one.is_alias and one.docstring:
                yield from _member(one, f"{name.rpartition('.')[2]}.{inner}", depth + 1)


def api_page() -> str:
    """Return the public names of the package, from their docstrings."""
    package = griffe.load("liqbt", allow_inspection=False, docstring_parser="numpy")
    parts = ["# Python", "Public names; everything else may change without notice."]
    for path in PUBLIC:
        module = package if path == "liqbt" else package[path.removeprefix("liqbt.")]
        parts.append(f"## {path}")
        parts += _sections(module.docstring)
        own = [
            name
            for name, one in module.members.items()
            if not name.startswith("_") and not one.is_alias and not one.is_module and one.docstring
        ]
        for name in sorted(module.exports or own, key=str):
            parts += _member(module[str(name)], f"{path}.{name}", 3)
    return page(*parts)


PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": cli_page,
    "reference/files.md": schema_page,
    "reference/claims.md": claims_page,
    "reference/estimators.md": estimators_page,
    "reference/api.md": api_page,
    "reference/glossary.md": glossary_page,
}
