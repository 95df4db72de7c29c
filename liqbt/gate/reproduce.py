"""A finished run made again from what it says of itself, and where the bytes part.

The configuration is the run's own, `config.yaml`; where its data lie is not part of a run, and is
read from its experiment's file. What the two runs were made of is held against each other first:
where code or events differ, differing bytes are no surprise.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from liqbt.config.yaml import read_yaml
from liqbt.errors import ConfigError, DataError, one_line
from liqbt.gate.identity import identity_differences, identity_of
from liqbt.log.disk import read_parquet, sha256_file
from liqbt.study.plan import prepare_experiment
from liqbt.study.progress import Stage, silent
from liqbt.study.run import run_plan
from liqbt.study.schema import demo_experiment, parse_experiment
from liqbt.study.store import KEY, Run, load_run
from liqbt.study.written import MANIFEST, verify_run

_OWN: Final = ("files", "report", "self")
"""Keys of a manifest that are digests: what they are of is held against each other itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """A file in which two runs differ.

    Attributes
    ----------
    file : str
        Its name in the folder of the run.
    where : str
        The first place that differs, in words, with both values.
    """

    file: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A run beside itself, made again.

    Attributes
    ----------
    run_id, again : str
        What the two are known by.
    causes : tuple of str
        In what the two were made differently; empty where in nothing that is known.
    equal : tuple of str
        Files of the same bytes.
    parted : tuple of Parting
        The others, figures of scores first.
    apart : tuple of str
        Files of the report that are not held against each other: another version wrote them.
    """

    run_id: str
    again: str
    causes: tuple[str, ...]
    equal: tuple[str, ...]
    parted: tuple[Parting, ...]
    apart: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether every file has the same bytes."""
        return not self.parted

    @property
    def text(self) -> str:
        """The finding in words, causes first."""
        lines = [f"made differently: {cause}" for cause in self.causes]
        if not self.causes:
            lines.append("made of the same configuration, events, code and dependencies")
        lines += [f"{one.file}: {one.where}" for one in self.parted]
        if self.apart:
            lines.append(
                f"not compared: {len(self.apart)} files of the report, which another version wrote"
            )
        n = len(self.equal) + len(self.parted)
        if self.same:
            lines.append(f"run {self.run_id}: all {n} files are equal, byte for byte")
        else:
            lines.append(f"run {self.run_id}: {len(self.parted)} of {n} files differ")
        return "\n".join(lines)

    def value(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"same": self.same, **asdict(self)}


def reproduce(
    path: Path,
    *,
    experiment: Path | None = None,
    finish: Callable[[Run, Path], object] | None = None,
    stage: Stage = silent,
) -> Reproduction:
    """Make a run again in a temporary folder, and hold every file against the first one's.

    Parameters
    ----------
    path : Path
        The folder of a finished run.
    experiment : Path, optional
        The experiment's file, which says where its data lie and what relative names are relative
        to; looked for by its name where not given: here, in `experiments/`, and beside the folder
        that keeps the runs.
    finish : callable, optional
        Writes the report, as in `run_experiment`; without it the report is not compared.
    stage : callable
        Progress.

    Raises
    ------
    DataError
        If `path` is no folder of a run, its scores or its manifest are not as it wrote them, or it
        cannot be made again from what it says.
    ConfigError
        If the experiment's file is not found, or events that it names.
    """
    run = load_run(path)
    _refuse(run)
    file = _experiment_file(run, experiment)
    config = _located(run, file)
    with tempfile.TemporaryDirectory(prefix="liqbt-reproduce-") as name:
        results = Path(name) / "results"
        _copy_ledgers(path.resolve().parent.parent, results)
        plan = prepare_experiment(parse_experiment(config, file), file, results, stage)
        return held_against(run, run_plan(plan, results, finish, stage))


def _refuse(run: Run) -> None:
    """Refuse what is not made again by its configuration alone."""
    if run.manifest.get("published"):
        raise DataError(
            f"{run.path}: levels that somebody else published were scored, and the run does not "
            f"hold their file; make it again with: {one_line(str(run.manifest.get('command')))}"
        )
    if "opening" in (run.manifest.get("registration") or {}):
        raise DataError(
            f"{run.path}: a holdout was opened for this run, and making it again would open it "
            "once more; liqbt unseal does that, and counts it"
        )


def _experiment_file(run: Run, given: Path | None) -> Path:
    """Return the experiment's file: the one given, or the first that has the experiment's name."""
    if given is not None:
        if not given.is_file():
            raise ConfigError(f"{given}: no such file; expected the experiment's YAML")
        return given
    embedded = demo_experiment()
    name, data = str(run.manifest["experiment"]), run.config.get("data") or {}
    if name == embedded.stem and data.get("world"):
        return embedded
    home = run.path.resolve().parent.parent.parent
    places = [Path(), Path("experiments"), home, home / "experiments"]
    for place in places:
        for ending in (".yaml", ".yml"):
            if (place / f"{name}{ending}").is_file():
                return place / f"{name}{ending}"
    raise ConfigError(
        f"{run.path}: the file of its experiment '{one_line(name)}' is neither here, nor in "
        "experiments/, nor beside the folder of the run's results; name it with --experiment FILE"
    )


def _located(run: Run, file: Path) -> dict[str, Any]:
    """Return the run's configuration with where its data lie, which the experiment's file says."""
    stated = read_yaml(file)
    where = stated.get("data") if isinstance(stated, Mapping) else None
    places = {k: v for k, v in (where or {}).items() if k in ("root", "log")}
    data = {**(run.config.get("data") or {}), **places}
    return {**run.config, "data": data}


def _copy_ledgers(old: Path, new: Path) -> None:
    """Copy what a run's identity also rests on: registrations, and the gate's document."""
    new.mkdir(parents=True)
    for name in ("registrations", "validity"):
        if (old / name).is_dir():
            shutil.copytree(old / name, new / name)


def held_against(run: Run, again: Run) -> Reproduction:
    """Hold two finished runs against each other, file by file.

    Parameters
    ----------
    run, again : Run
        The first, as its files are now, and the second.
    """
    reports = [one.manifest.get("report") or {} for one in (run, again)]
    alike = bool(reports[0]) and reports[0].get("code") == reports[1].get("code")
    written = {str(name) for one in reports for name in one.get("files", ())}
    names = sorted({*run.manifest["files"], *again.manifest["files"]}, key=_order)
    held = [name for name in names if alike or name not in written]
    parted = [p for name in held if (p := _parting(run.path, again.path, name)) is not None]
    manifest = _manifest_parting(run.manifest, again.manifest)
    parted += [] if manifest is None else [manifest]
    apart = {one.file for one in parted}
    return Reproduction(
        run_id=run.run_id,
        again=again.run_id,
        causes=tuple(_causes(run, again)),
        equal=tuple(n for n in (*held, MANIFEST) if n not in apart),
        parted=tuple(parted),
        apart=tuple(name for name in names if name not in held),
    )


def _order(name: str) -> tuple[int, str]:
    """Order files by what their reader asks first: scores, tables, evidence, and the report."""
    first = ("metrics.json", "tables.json", "config.yaml")
    return (first.index(name) if name in first else 4 if "report" in name else 3, name)


def _causes(run: Run, again: Run) -> Iterator[str]:
    """Yield in what two runs were made differently, in words."""
    found = verify_run(run.path)
    for name in (*found.altered, *found.missing):
        yield f"{name} is not as the run wrote it"
    for one in identity_differences(identity_of(run), identity_of(again)):
        yield one.sentence
    old, new = run.manifest["hashes"], again.manifest["hashes"]
    words = {
        "sources": "the files that events were read from, or how they were read",
        "gate": "the document of the validity gate",
        "registration": "what is registered of the experiment",
        "reads": "holdouts of other registrations",
    }
    for key, said in words.items():
        if old.get(key) != new.get(key):
            yield said


def _parting(one: Path, other: Path, name: str) -> Parting | None:
    """Return where a file of two runs parts; None where its bytes are the same."""
    paths = (one / name, other / name)
    for path, said in zip(
        paths, ("it is not there now", "made again, it is not there"), strict=True
    ):
        if not path.is_file():
            return Parting(file=name, where=said)
    if sha256_file(paths[0]) == sha256_file(paths[1]):
        return None
    try:
        return Parting(file=name, where=_place(*paths))
    except (OSError, ValueError, pa.ArrowException) as error:
        return Parting(file=name, where=f"it cannot be read any more ({one_line(str(error))})")


def _place(one: Path, other: Path) -> str:
    """Return the first place in which two files of one name differ."""
    if one.suffix == ".parquet":
        return _column_place(read_parquet(one), read_parquet(other))
    if one.suffix in {".json", ".md", ".html", ".yaml"}:
        texts = [path.read_text(encoding="utf-8") for path in (one, other)]
        if one.suffix == ".json":
            found = _json_place(*(json.loads(text) for text in texts))
            if found:
                return found
        return _line_place(*(text.splitlines() for text in texts))
    return f"{one.stat().st_size:,} bytes, made again {other.stat().st_size:,}"


def _line_place(one: Sequence[str], other: Sequence[str]) -> str:
    for i, (old, new) in enumerate(zip(one, other, strict=False), start=1):
        if old != new:
            return f"line {i}: {one_line(old)!r:.90} -> {one_line(new)!r:.90}"
    return f"{len(one):,} lines, made again {len(other):,}"


def _json_place(one: Any, other: Any, where: str = "") -> str:
    """Return the first value in which two documents differ; "" where they are equal."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in [*one, *(k for k in other if k not in one)]:
            if key not in one or key not in other:
                missing = "not there" if key not in one else "gone"
                return f"{_named(one or other, where)}{key} is {missing} where it was the other way"
            found = _json_place(one[key], other[key], f"{_named(one, where)}{key}")
            if found:
                return found
        return ""
    if isinstance(one, list) and isinstance(other, list):
        for i, (old, new) in enumerate(zip(one, other, strict=False)):
            found = _json_place(old, new, f"{where}[{i}] ")
            if found:
                return found
        return (
            "" if len(one) == len(other) else f"{where}: {len(one)} rows, made again {len(other)}"
        )
    if one == other:
        return ""
    return f"{where.strip() or 'it'}: {one!r:.60} -> {other!r:.60}"


def _named(row: Mapping[str, Any], where: str) -> str:
    """Return where a value stands; a row of scores by what names it."""
    if set(KEY) <= set(row):
        return f"row {where.strip()}, {'/'.join(str(row[name]) for name in KEY)}: "
    return f"{where}." if where and not where.endswith((" ", ".", ": ")) else where


def _column_place(one: pa.Table, other: pa.Table) -> str:
    """Return the first column, and the first row of it, in which two tables differ."""
    if one.column_names != other.column_names:
        gone = sorted({*one.column_names} ^ {*other.column_names})
        return f"columns differ: {', '.join(gone) or 'in another order'}"
    if one.num_rows != other.num_rows:
        return f"{one.num_rows:,} rows, made again {other.num_rows:,}"
    for name in one.column_names:
        old, new = one[name].to_pylist(), other[name].to_pylist()
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            if repr(a) != repr(b):
                return f"column {name}, row {i}: {a!r:.60} -> {b!r:.60}"
    return "the same values, written in other bytes"


def _manifest_parting(one: Mapping[str, Any], other: Mapping[str, Any]) -> Parting | None:
    """Return where manifests part, but for the digests of the other files."""
    old, new = ({k: v for k, v in each.items() if k not in _OWN} for each in (one, other))
    where = _json_place(old, new)
    return Parting(file=MANIFEST, where=where) if where else None
