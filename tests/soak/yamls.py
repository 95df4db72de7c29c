"""YAML that explodes, calls or has the wrong types; experiments and worlds with changes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from liqbt.study.estimators import build_estimators
from liqbt.study.pipeline import protocol
from liqbt.study.schema import load_experiment
from liqbt.study.worlds import load_world
from soak.fuzz import judged
from soak.mutate import mutate_yaml
from soak.row import Row, Tally
from soak.small import EXPERIMENT, call, clear

__all__ = ["experiments", "worlds"]


def _bombs() -> dict[str, bytes]:
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
    )
    return {
        "anchors that explode": laughs.encode(),
        "an alias to itself": b"a: &a [*a]\n",
        "a merge key": b"a: &a {b: 1}\nc: {<<: *a}\n",
        "a Python tag": b"name: !!python/object/apply:os.system ['touch owned']\n",
        "a Python name": b"name: !!python/name:os.system\n",
        "an own tag": b"name: !thing {a: 1}\n",
        "a list at the top": b"- a\n- b\n",
        "a word at the top": b"hello\n",
        "nothing": b"",
        "two documents": b"a: 1\n---\nb: 2\n",
        "deep nesting": b"a: " + b"[" * 20_000 + b"]" * 20_000,
        "deep nesting, block": b"".join(b" " * i + b"a:\n" for i in range(3000)),
        "deep nesting, mappings": b"a: " + b"{b: " * 5_000 + b"}" * 5_000,
        "a huge whole number": b"name: x\nseed: " + b"9" * 5_000 + b"\n",
        "a large whole number": b"name: x\nseed: " + b"9" * 4_000 + b"\n",
        "a doubled key": b"name: a\nname: b\n",
        "a key that is a list": b"? [a, b]\n: c\n",
        "a key that is a number": b"1: a\n",
        "more than 1 MiB": b"# " + b"x" * (1 << 20) + b"\nname: x\n",
        "not UTF-8": b"name: \xff\xfe\n",
        "UTF-16": "name: x\n".encode("utf-16"),
        "a NUL": b"name: a\0b\n",
        "tabs": b"name:\n\t- a\n",
        "a date": b"name: x\ndays: 2025-01-01\n",
        "binary": b"name: !!binary aGVsbG8=\n",
        "infinite": b"name: x\nseed: .inf\n",
    }


def experiments(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """YAML bombs through `run`, `simulate` and `ingest`; then mutated experiments, in process."""
    bombs = Tally("YAML bombs, tags, wrong types: run, simulate, ingest")
    for name, data in _bombs().items():
        path = folder / "bomb.yaml"
        path.write_bytes(data)
        for arguments in (
            ("run", path, "--results", folder / "r"),
            ("simulate", path, "--seed", 1, "--log", folder / "l"),
            ("ingest", path, path, "--log", folder / "l"),
        ):
            problem = clear(call(*arguments))
            bombs.check(f"{name}, {arguments[0]}: {problem}" if problem else "")
    if Path("owned").exists() or (folder / "l").exists():
        bombs.check("something was executed or written")
    yield bombs.row()
    rng = random.Random(seed)
    shipped = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
    texts = [EXPERIMENT, *(p.read_text() for p in shipped)]
    path = folder / "x.yaml"
    tally = Tally("mutated experiment")
    for _ in range(n):
        text = _mutated(path, texts, rng)
        judged(tally, lambda: _configured(path), lambda: repr(text[:700]))  # noqa: B023
    yield tally.row()


def _mutated(path: Path, texts: list[str], rng: random.Random) -> str:
    """Write one of the texts, changed in one to four places, and return it."""
    text = rng.choice(texts)
    for _ in range(rng.choice([1, 1, 2, 4])):
        text = mutate_yaml(text, rng)
    path.write_bytes(text.encode(errors="surrogatepass"))
    return text


def _configured(path: Path) -> str:
    """Use everything that an experiment configures, short of its data."""
    experiment = load_experiment(path)
    protocol(experiment.evaluation)
    for symbol in experiment.symbols:
        steps = [c.params.get("step", 1.0) for c in experiment.estimators_of(symbol).values()]
        if min(steps) >= 1e-4:  # a finer grid takes its time
            build_estimators(experiment, symbol)
    experiment.model_dump(mode="json")
    return ""


def worlds(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Mutated worlds of the simulated market, loaded and checked."""
    rng = random.Random(seed)
    shipped = sorted((Path(__file__).parents[2] / "liqbt" / "data" / "worlds").glob("*.yaml"))
    texts = [p.read_text() for p in shipped]
    path = folder / "w.yaml"
    tally = Tally("mutated world")
    for _ in range(n):
        text = _mutated(path, texts, rng)

        def work() -> str:
            load_world(path)
            return ""

        judged(tally, work, lambda: repr(text[:500]))  # noqa: B023
    yield tally.row()
