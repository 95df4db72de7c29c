"""Random levels on the hourly candles of the real data, where it is present; else it is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from liqbt.config import MAX_BAD
from liqbt.errors import DataError
from liqbt.estimators.baselines import Uniform
from liqbt.estimators.config import MapParams, MarketSpec
from liqbt.evaluation.bins import anchors_of
from liqbt.evaluation.config import EvaluationConfig, MarketInput
from liqbt.evaluation.path import price_path
from liqbt.log.disk import sha256_file
from liqbt.registry.ledger import run_identity
from liqbt.replay import replay, schedule
from liqbt.study.identity import APART, code_digest
from liqbt.study.progress import Stage, silent
from liqbt.study.readers import map_reader
from liqbt.study.store import json_value
from liqbt.study.validity import SHIPPED, read_gate
from liqbt.tape.build import tape_from_tables
from liqbt.tape.values import Selection, Tape
from liqbt.types import DAY_NS, HOUR_NS, Instrument, IntArray, Kind
from liqbt.validity.random_levels import LevelsWord, random_levels_found

CANDLES: Final = ("candles/BTCUSDT-1h.csv.gz", "candles/ETHUSDT-1h.csv.gz")
"""Hourly candles of spot pairs from June 2023 on, below the folder of real data."""
KEPT: Final = "random-levels.json"
_HERE: Final = Path(__file__).resolve().parent
COLUMN_MAP: Final = SHIPPED / "binance-spot-candles-1h.yaml"
_WARM_UP_NS: Final = 14 * DAY_NS
_STREAM: Final = 2**31
"""Spawn key of its seeds, apart from those of all replications."""


def candles_root() -> Path:
    """Return the folder of real data: `LIQBT_DATA`, or `shared/data` beside the checkout."""
    env = os.environ.get("LIQBT_DATA")
    return Path(env) if env else _HERE.parent.parent.parent / "shared" / "data"


def absent(reason: str) -> dict[str, Any]:
    """Return the entry of random levels that were not tried: never a pass."""
    return {"word": str(LevelsWord.ABSENT), "reason": reason}


def random_levels_entry(
    out: Path, folder: Path, *, root: int, stage: Stage = silent
) -> dict[str, Any]:
    """Return what random levels on real candles show; computed once for the same code and data.

    Parameters
    ----------
    out : Path
        Folder where the result is kept, as `random-levels.json`; what the document that ships with
        liqbt holds is known, too.
    folder : Path
        Of real data (see `candles_root`).
    root : int
        Root seed of the campaign.
    stage : callable
        Progress.

    Returns
    -------
    dict
        As `random_levels_found`, with `code` (a digest) and `data` (digests by file). Where a file
        is absent, what is kept of this very code, if anything; else the word `absent`.

    Raises
    ------
    DataError
        If what is kept, or a file of candles, cannot be read.
    """
    code = levels_code(root)
    known = [k for k in (_kept(out / KEPT), _shipped()) if k.get("code") == code]
    missing = [name for name in CANDLES if not (folder / name).is_file()]
    if missing:
        if known:
            return known[0]
        return absent(f"there is no {missing[0]} here (LIQBT_DATA), so that they were not tried")
    data = {name: sha256_file(folder / name) for name in CANDLES}
    for kept in known:
        if kept.get("data") == data:
            return kept
    stage("random levels", 0, 1)
    markets = [_market(folder / name, COLUMN_MAP) for name in CANDLES]
    found = random_levels_found(
        markets,
        EvaluationConfig(horizons_ns=(DAY_NS,)),
        np.random.SeedSequence(root, spawn_key=(_STREAM,)),
    )
    entry: dict[str, Any] = json_value({**found, "code": code, "data": data})
    stage("random levels", 1, 1)
    out.mkdir(parents=True, exist_ok=True)
    part = out / f".{KEPT}.part"
    part.write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(out / KEPT)
    return entry


def levels_code(root: int) -> str:
    """Return the digest of what the result depends on beside the data; 16 hex digits."""
    code = code_digest((__name__, "liqbt.validity.random_levels"), APART)
    return run_identity({"code": code, "map": sha256_file(COLUMN_MAP), "root": root})


def _shipped() -> dict[str, Any]:
    document, _ = read_gate(SHIPPED)
    return dict(document["random_levels"])


def _kept(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        kept: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path}: found no result of random levels ({error}); delete the file to begin anew"
        ) from error
    return kept


def _market(file: Path, column_map: Path) -> MarketInput:
    """Return one market of candles: marks and σ each hour, as every other estimator has them."""
    tables = map_reader(column_map).read(file, MAX_BAD, None).tables
    pairs = tables[Kind.BAR].select(["venue", "symbol"]).slice(0, 1).to_pylist()
    instrument = Instrument(**pairs[0])
    tape = tape_from_tables(tables, Selection(kinds={Kind.BAR: (instrument,)}))
    # a map that is not read: only its mark and σ are
    params = MapParams(sigma_sampling=HOUR_NS, reach=0.01, asymmetry_reach=0.01)
    market = MarketSpec(symbol=instrument.symbol, price_kind=Kind.BAR)
    forecasts = replay(tape, Uniform(params, market), _times(tape))
    begin = int(tape.events["ts_known"][0]) + _WARM_UP_NS
    return MarketInput(
        symbol=instrument.symbol,
        forecasts=[f for f in forecasts if f.at >= begin],
        path=price_path(tape.events, Kind.BAR),
        anchors=anchors_of(forecasts),
    )


def _times(tape: Tape) -> IntArray:
    known = tape.events["ts_known"]
    return schedule(int(known[0]) + 1, int(known[-1]) + 1, HOUR_NS)
