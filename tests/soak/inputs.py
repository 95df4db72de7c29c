"""Bad input: damaged logs, hostile archives, names and YAML, estimators that fail, absent data."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from liqbt.errors import LiqbtError, LogError
from liqbt.experiment import build_estimator, load_experiment, load_world
from liqbt.experiment.pipeline import calibration, evaluation_config
from liqbt.log import EventLog, logical_hash
from liqbt.tabular import ingest_file, load_map
from liqbt.tape import Selection, build_tape
from liqbt.types import Instrument, Kind
from soak.broken_estimators import WAYS
from soak.disk import committed_is_there
from soak.fuzz import judged
from soak.mutate import mutate_yaml
from soak.row import Row, Tally
from soak.small import EXPERIMENT, MAP, WORLD, call, clear, emptied, ingest_inputs, run_inputs

__all__ = ["absent", "archives", "damaged", "estimators", "experiments", "flips", "names", "worlds"]


def _small_log(folder: Path) -> EventLog:
    column_map, files = ingest_inputs(folder / "in", rows=30)
    said = call("ingest", column_map, *files, "--log", folder / "log", "--max-bad", "1")
    assert said.code == 0, said
    return EventLog.open(folder / "log")


def flips(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Flip one bit of one committed byte, anywhere; `verify` must find it, readers must refuse."""
    rng = random.Random(seed)
    log = _small_log(folder)
    files = [p for p in sorted(log.path.rglob("*")) if p.is_file() and p.name != "lock"]
    whole = {p: p.read_bytes() for p in files}
    starts: list[int] = []
    total = 0
    for path in files:
        starts.append(total)
        total += len(whole[path])
    found = Tally("one bit of a log flipped: verify finds it")
    read = Tally("one bit of a log flipped: nothing false is read")
    truth = {kind: logical_hash(log.read(kind)) for kind in (Kind.MARK, Kind.OPEN_INTEREST)}
    for _ in range(n):
        place = rng.randrange(total)
        k = max(i for i, start in enumerate(starts) if start <= place)
        path, at, bit = files[k], place - starts[k], 1 << rng.randrange(8)
        data = bytearray(whole[path])
        data[at] ^= bit
        path.write_bytes(data)
        try:
            problems = log.verify()
        except LogError as error:
            problems = [str(error)]
        found.check("" if problems else f"{path.name} byte {at} bit {bit}: not found")
        read.check(_reads_the_truth(log, truth, f"{path.name} byte {at}"))
        path.write_bytes(whole[path])
    assert log.verify() == []
    yield found.row(f"{len(files)} files, {total:,} bytes")
    yield read.row()


def _reads_the_truth(log: EventLog, truth: dict[Kind, str], what: str) -> str:
    try:
        same = all(logical_hash(log.read(kind)) == digest for kind, digest in truth.items())
    except LogError:
        return ""
    except Exception as error:
        return f"{what}: {type(error).__name__}: {error}"
    return "" if same else f"{what}: other events were read"


def damaged(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Remove, cut short or overwrite a file of a log; commands must say which, in one sentence."""
    rng = random.Random(seed)
    log = _small_log(folder)
    files = [p for p in sorted(log.path.rglob("*")) if p.is_file() and p.name != "lock"]
    ways: dict[str, Callable[[Path], object]] = {
        "missing": lambda p: p.unlink(),
        "truncated": lambda p: p.write_bytes(p.read_bytes()[: rng.randrange(p.stat().st_size)]),
        "empty": lambda p: p.write_bytes(b""),
        "replaced by another of its kind": lambda p: p.write_bytes(
            rng.choice([q for q in files if q.suffix == p.suffix]).read_bytes()[::-1]
        ),
        "a folder": lambda p: (p.unlink(), p.mkdir()),
    }
    for what, harm in ways.items():
        tally = Tally(f"log: a file {what}")
        for _ in range(n):
            path = rng.choice(files)
            whole = path.read_bytes()
            harm(path)
            tally.check(_said_of_damage(log, path))
            if path.is_dir():
                path.rmdir()
            path.write_bytes(whole)
        assert log.verify() == []
        yield tally.row()


def _said_of_damage(log: EventLog, path: Path) -> str:
    verified = call("log", "verify", log.path)
    if verified.crash or verified.code not in (1, 2) or "Traceback" in verified.err:
        return f"{path.name}: verify: exit {verified.code} {verified.crash[-300:]}"
    selection = Selection(
        kinds={k: (Instrument("mine", "XYZ"),) for k in (Kind.MARK, Kind.OPEN_INTEREST)}
    )
    try:
        build_tape(log, selection)
    except LogError as error:
        return "" if len(str(error).splitlines()) == 1 else f"{path.name}: {error}"
    except Exception as error:
        return f"{path.name}: {type(error).__name__}: {error}"
    return "" if path.parent.name == "quarantine" else f"{path.name}: a tape was built"


def _zip(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def archives(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Hostile and wrong files through `ingest`: refused in one sentence, no log left behind."""
    del n, seed
    column_map, files = ingest_inputs(folder, rows=20)
    good = files[0].read_bytes()
    lines = good.decode().splitlines()
    mixed = "\n".join([*lines[:10], *(_in_ms(line) for line in lines[10:]), ""])
    cases: dict[str, tuple[bytes, str]] = {
        "empty file": (b"", "empty"),
        "header without rows": (b"t,px,oi\n", "no rows"),
        "no header": (b"\n\n\n", "header"),
        "wrong columns": (good.replace(b"t,px", b"when,price"), "no column"),
        "a column twice": (good.replace(b"t,px,oi", b"t,px,px"), "px"),
        "mixed time units": (mixed.encode(), "ms"),
        "times in another unit": (("\n".join([lines[0], *map(_in_ms, lines[1:])])).encode(), "ms"),
        "zip without a member": (_zip(), "zip"),
        "zip with two members": (_zip(("a.csv", good), ("b.csv", good)), "2 files"),
        "zip with a wrong member": (_zip(("a.exe", good)), "a.exe"),
        "zip that escapes": (_zip(("../../a.csv", good)), "leaves its folder"),
        "zip with an absolute path": (_zip(("/etc/a.csv", good)), "leaves its folder"),
        "zip with a drive": (_zip(("C:\\..\\a.csv", good)), "leaves its folder"),
        "truncated zip": (_zip(("a.csv", good))[:-40], "zip"),
        "truncated gzip": (gzip.compress(good, mtime=0)[:-40], "truncated"),
        "truncated Parquet": (b"PAR1" + good, "Parquet"),
        "not text": (bytes(range(256)) * 40, "bad.csv"),
        "UTF-16": (good.decode().encode("utf-16"), "bad.csv"),
        "NUL bytes": (b"\0" * 4096, "bad.csv"),
        "one line of 8 MB": (b"x" * (8 << 20), "bad.csv"),
        "a million columns": (b",".join([b"c"] * 1_000_000) + b"\n", "bad.csv"),
    }
    tally = Tally("hostile or wrong file: ingest")
    for name, (data, mention) in cases.items():
        (folder / "bad.csv").write_bytes(data)
        said = call("ingest", column_map, folder / "bad.csv", "--log", folder / "log")
        problem = clear(said, mention)
        if not problem and (folder / "log").exists():
            problem = "a log was left behind"
        tally.check(f"{name}: {problem}" if problem else "")
    for problem in _bombs_of_zeros(folder, good):
        tally.check(problem)
    yield tally.row()


def _in_ms(line: str) -> str:
    cells = line.split(",")
    return ",".join([cells[0] + "000", *cells[1:]])


def _bombs_of_zeros(folder: Path, good: bytes) -> Iterator[str]:
    """Yield what is wrong with how files that expand a thousandfold are refused."""
    bomb = good + b"\n" * (64 << 20)
    lying = bytearray(_zip(("a.csv", bomb)))
    place = lying.rindex(b"PK\x01\x02") + 24  # the size that the directory promises
    lying[place : place + 4] = len(good).to_bytes(4, "little")
    for name, data in (
        ("zip bomb", _zip(("a.csv", bomb))),
        ("zip bomb that lies about its size", bytes(lying)),
        ("gzip bomb", gzip.compress(bomb, 1, mtime=0)),
    ):
        (folder / "bad.csv").write_bytes(data)
        try:
            ingest_file(load_map(folder / "map.yaml"), folder / "bad.csv", max_bytes=1 << 20)
            yield f"{name}: accepted"
        except LiqbtError as error:
            clear_ = "expands to more" in str(error) or "zip" in str(error)
            yield "" if clear_ else f"{name}: {error}"


def estimators(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Estimators that fail in the middle of a run: named with the time, nothing left behind."""
    del n, seed
    experiment = run_inputs(folder)
    text = experiment.read_text()
    tally = Tally("estimator that fails or returns what is no forecast")
    debug = Tally("the same with --debug: the traceback is shown")
    assert call("run", experiment, "--results", folder / "warm").code == 0
    for way in WAYS:
        name = f"soak.broken_estimators:{way.__name__}"
        experiment.write_text(text.replace("estimator: {", f"estimator: {{name: '{name}', "))
        results = emptied(folder / "r")
        said = call("run", experiment, "--results", results)
        problem = clear(said, way.__name__)
        left = [p.name for p in (results / "x").glob("*") if p.name != ".locks"]
        if not problem and left:
            problem = f"left behind: {left}"
        tally.check(f"{way.__name__}: {problem}" if problem else "")
        shown = call("--debug", "run", experiment, "--results", results)
        debug.check("" if "Error" in shown.crash else f"{way.__name__}: {shown}")
    yield tally.row()
    yield debug.row()


def absent(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """A symbol without prices, a period without data, a map that names no such file."""
    del n, seed
    experiment = run_inputs(folder)
    column_map, files = ingest_inputs(folder / "in", rows=30)
    assert call("ingest", column_map, *files, "--log", folder / "log", "--max-bad", 1).code == 0
    logged = (
        "name: x\ndata: {log: log}\nsymbols:\n  A:\n    events: {mark: %s, open_interest: %s}\n"
    )
    logged += "    margin: {tiers: BTCUSDT}\n"
    good = experiment.read_text()
    cases: dict[str, tuple[str, str]] = {
        "a symbol without prices": (logged % ("mine/NONE", "mine/XYZ"), "no mark of mine/NONE"),
        "a symbol without open interest": (logged % ("mine/XYZ", "m/X"), "no open_interest of m/X"),
        "a period before the data": (_with(good, "start: 2010-01-01, end: 2010-02-01"), "2010"),
        "a period after the data": (_with(good, "start: 2090-01-01"), "2090"),
        "a period that ends before it starts": (
            _with(good, "start: 2025-02-01, end: 2025-01-01"),
            "end",
        ),
        "too short for a forecast": (good.replace("warm_up: 2d", "warm_up: 3000d"), "warm-up"),
        "a warm-up longer than ten years": (good.replace("warm_up: 2d", "warm_up: 9000d"), "ten"),
        "a log that is not there": ("".join(good.replace("world: w.yaml", "log: gone")), "gone"),
        "a world that is not there": (good.replace("w.yaml", "gone.yaml"), "gone.yaml"),
        "a map that is not there": (
            good.replace(
                "{world: w.yaml, seed: 1}", "{sources: [{map: gone.yaml, files: [a.csv]}]}"
            ),
            "gone.yaml",
        ),
        "unknown tiers": (good.replace("BTCUSDT", "BTCUSDTT"), "BTCUSDT"),
        "an unknown estimator": (
            good.replace("estimator: {", "estimator: {name: oi_flo, "),
            "oi_flow",
        ),
        "an estimator of no module": (
            good.replace("estimator: {", "estimator: {name: 'nowhere:Thing', "),
            "nowhere",
        ),
        "an unknown key": (good + "sed: 1\n", "seed"),
    }
    tally = Tally("data or a name that is absent: run")
    for name, (text, mention) in cases.items():
        experiment.write_text(text)
        results = emptied(folder / "r")
        problem = clear(call("run", experiment, "--results", results), mention)
        if not problem and [p for p in (results / "x").glob("*") if p.name != ".locks"]:
            problem = "something was left behind"
        tally.check(f"{name}: {problem}" if problem else "")
    yield tally.row()


def _with(text: str, more: str) -> str:
    return text.replace("schedule: {", f"schedule: {{{more}, ")


NAMES = [
    "a\nb", "a\rb", "\x1b[31mred", "a\x00b", "..", "../up", "../../etc/passwd", "/abs", "-",
    "--help",
    "-rf", "a b", " lead", "trail ", "x" * 64, "x" * 65, "x" * 300, "x" * 5000, "ВТСUSDT",
    "BTC\u200b",
    "\u202eCTB", "\ud83d\udcb0".encode("utf-16", "surrogatepass").decode("utf-16"), "e\u0301",
    "\u00e9",
    "con", "nul", "a/b", "a\\b", "%s%n", "{0}", "${HOME}", "$(id)", "`id`", "'; --", '"',
    "a,b", "a;b",
    "a:b", "*", "?", "NO", "null", "1e5", "~", ".hidden", "a.", "\ufeffBTC", "\ufffd",
    "\u2028", "\x7f",
]  # fmt: skip


def names(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Hostile names: of symbols in a file and a map, of files, of experiments and their markets."""
    del n, seed
    symbol = Tally("hostile name: of a symbol in a CSV, or of a venue in a map")
    file = Tally("hostile name: of a file to ingest")
    market = Tally("hostile name: of an experiment, a market, an instrument, a file in it")
    outside = folder / "outside"
    outside.mkdir()
    for i, name in enumerate(NAMES):
        place = folder / f"n{i}"
        place.mkdir()
        symbol.check(_named_symbol(place, name))
        file.check(_named_file(place, name))
        market.check(_named_market(place, name))
        if sorted(p.name for p in folder.iterdir()) != sorted(
            [*(f"n{k}" for k in range(i + 1)), "outside"]
        ):
            symbol.check(f"{name!r} wrote outside of its folder")
    yield symbol.row()
    yield file.row()
    yield market.row()


def _accepted_or_clear(said: object, name: str) -> str:
    problem = clear(said) if getattr(said, "code", 0) else getattr(said, "crash", "")  # type: ignore[arg-type]
    return f"{name!r}: {problem}" if problem else ""


def _named_symbol(place: Path, name: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    rows = [f"{1_700_000_000 + 300 * i},{100 + i},{5000 + i},{quoted}" for i in range(5)]
    raw = "\n".join(["t,px,oi,sym", *rows, ""]).encode(errors="surrogatepass")
    (place / "s.csv").write_bytes(raw)
    (place / "m.yaml").write_text(MAP.replace("symbol: XYZ", "symbol: {column: sym}"))
    said = call("ingest", place / "m.yaml", place / "s.csv", "--log", place / "log")
    problem = _accepted_or_clear(said, name)
    if not problem and said.code == 0:
        problem = committed_is_there(place) or _accepted_or_clear(
            call("log", "info", place / "log"), name
        )
    return problem


def _named_file(place: Path, name: str) -> str:
    if "\0" in name:  # no system hands such an argument over
        return ""
    column_map, files = ingest_inputs(place / "in", rows=8)
    target = place / "in" / name.removeprefix("/")
    with contextlib.suppress(OSError, ValueError):  # no such file can be
        target.write_bytes(files[0].read_bytes())
    said = call("ingest", "--log", place / "log2", "--", column_map, target)
    return _accepted_or_clear(said, name)


def _named_market(place: Path, name: str) -> str:
    (place / "w.yaml").write_text(WORLD)
    quoted = '"' + "".join(f"\\U{ord(c):08x}" for c in name) + '"'
    for old in ("name: x", "SIM:", "simulated/SIM, open", "w.yaml", "tiers: BTCUSDT"):
        new = old.split(": ")[0] + f": {quoted}" if ": " in old else quoted
        new = {"SIM:": f"{quoted}:", "simulated/SIM, open": f"{quoted}, open"}.get(old, new)
        (place / "x.yaml").write_text(EXPERIMENT.replace(old, new, 1))
        if old == "name: x":  # a name that can be: no need to run it
            try:
                load_experiment(place / "x.yaml")
                continue
            except Exception:
                pass
        said = call("run", place / "x.yaml", "--results", place / "r")
        problem = _accepted_or_clear(said, name)
        if problem:
            return f"{old}: {problem}"
    return ""


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
        "a date": b"name: 2025-01-01\n",
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
        text = rng.choice(texts)
        for _ in range(rng.choice([1, 1, 2, 4])):
            text = mutate_yaml(text, rng)
        path.write_bytes(text.encode(errors="surrogatepass"))
        judged(tally, lambda: _configured(path), lambda: repr(text[:700]))  # noqa: B023
    yield tally.row()


def _configured(path: Path) -> str:
    """Use everything that an experiment configures, short of its data."""
    experiment = load_experiment(path)
    evaluation_config(experiment)
    calibration(experiment)
    for symbol in experiment.symbols:
        if experiment.estimator_of(symbol).step >= 1e-4:  # a finer grid takes its time
            build_estimator(experiment, symbol)
    experiment.model_dump(mode="json")
    return ""


def worlds(n: int, seed: int, folder: Path) -> Iterator[Row]:
    """Mutated worlds of the simulated market, loaded and checked."""
    rng = random.Random(seed)
    shipped = sorted((Path(__file__).parents[2] / "experiments" / "worlds").glob("*.yaml"))
    texts = [p.read_text() for p in shipped]
    path = folder / "w.yaml"
    tally = Tally("mutated world")
    for _ in range(n):
        text = rng.choice(texts)
        for _ in range(rng.choice([1, 1, 2, 4])):
            text = mutate_yaml(text, rng)
        path.write_bytes(text.encode(errors="surrogatepass"))

        def work() -> str:
            load_world(path)
            return ""

        judged(tally, work, lambda: repr(text[:500]))  # noqa: B023
    yield tally.row()
