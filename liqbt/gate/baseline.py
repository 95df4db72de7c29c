"""Baselines: small committed files that say what a run scored, and why that was accepted.

A baseline is written by people's decision, never by a run: `update` needs a reason, which is kept
in the file with what it changed. There is no clock in it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from liqbt.config.fields import complaint
from liqbt.config.paths import refuse_special
from liqbt.errors import DataError, reason_of
from liqbt.evaluation.inference.days import DaySums
from liqbt.gate.rules import paired_keys, row_days
from liqbt.study.store import KEY, Key, Run, key_of
from liqbt.types import Score

_MAX_BYTES: Final = 32 << 20
_DIGITS: Final = 12

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(max_length=400)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ScoreRow(_Strict):
    """One row of scores; null where there is no number."""

    claim: Text
    symbol: Text
    horizon: Text
    side: Text
    statistic: Text
    value: Number | None
    null: Number | None
    ci_low: Number | None
    ci_high: Number | None
    n_episodes: Count
    n_days: Count
    mde: Number | None
    unit: Text = ""
    estimator: Text = ""

    def score(self) -> Score:
        """Return the row as it is elsewhere: NaN where there is no number."""
        fields: dict[str, Any] = self.model_dump()
        numbers: dict[str, Any] = {k: math.nan if v is None else v for k, v in fields.items()}
        return Score(**numbers)


class DayRow(_Strict):
    """The day sums of one row."""

    row: list[Text] = Field(min_length=len(KEY), max_length=len(KEY))
    first_day: int
    total: list[Number] = Field(min_length=1)
    count: list[Number] = Field(min_length=1)
    freedom: Number = 1.0

    @model_validator(mode="after")
    def _usable(self) -> DayRow:
        if len(self.total) != len(self.count):
            raise ValueError(f"{len(self.total)} totals and {len(self.count)} counts")
        if min(self.count) < 0 or sum(self.count) <= 0:
            raise ValueError("counts must not be negative, nor all zero")
        return self


class Moved(_Strict):
    """One row whose value a renewal changed."""

    row: Text
    old: Number | None
    new: Number | None


class Change(_Strict):
    """One renewal: why, from which run to which, and what changed."""

    reason: Text
    run_id: Text
    code: Text
    before: Text | None = None
    other: list[Text] = []
    changed: list[Moved] = []
    added: list[Text] = []
    removed: list[Text] = []


class Baseline(_Strict):
    """What a run is held against."""

    format: Literal["liqbt baseline 2"]
    experiment: Text
    run_id: Text
    code: Text
    lock: Text
    tape: dict[Text, Text]
    estimators: dict[Text, Text]
    forecasts: dict[Text, Text]
    versions: dict[Text, Text]
    config: dict[Text, Any]
    verdicts: dict[Text, Text]
    scores: list[ScoreRow] = Field(min_length=1)
    days: list[DayRow]
    history: list[Change] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Baseline:
        keys = [key_of(row.score()) for row in self.scores]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"the row {' '.join(twice[0])} is there twice")
        return self

    def rows(self) -> dict[Key, Score]:
        """Return the scores by what names them."""
        return {key_of(row.score()): row.score() for row in self.scores}

    def day_sums(self) -> dict[Key, DaySums]:
        """Return the day sums that are kept, by row."""
        return {
            Key(*row.row): DaySums(
                first_day=row.first_day,
                total=np.array(row.total),
                count=np.array(row.count),
                freedom=row.freedom,
            )
            for row in self.days
        }


def load_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises
    ------
    DataError
        If it is missing or not one; one sentence names the file and the key.
    """
    refuse_special(path)
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise DataError(f"{path}: {len(data)} bytes; a baseline has at most 32 MiB")
        raw = json.loads(
            data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_repeats
        )
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such baseline; liqbt baseline add writes it") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not the JSON of a baseline: {reason_of(error)}") from error
    try:
        return Baseline.model_validate(raw)
    except ValidationError as error:
        raise DataError(f"{path}: not a baseline: {complaint(error, Baseline)}") from error
    except (RecursionError, OverflowError) as error:
        raise DataError(f"{path}: not a baseline: {reason_of(error)}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}; null stands for a missing number")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(n for n in names if names.count(n) > 1)}' is there twice")
    return found


def baseline_of(run: Run, history: Sequence[Change]) -> Baseline:
    """Return the baseline that a run would be held against from now on."""
    hashes = run.manifest["hashes"]
    days = row_days(run, paired_keys(run))
    return Baseline(
        format="liqbt baseline 2",
        experiment=str(run.manifest["experiment"]),
        run_id=run.run_id,
        code=str(hashes["code"]),
        lock=str(hashes["lock"]),
        tape=dict(hashes["tape"]),
        estimators=dict(hashes.get("estimators", {})),
        forecasts=dict(run.manifest["forecasts"]),
        versions=dict(run.manifest["versions"]),
        config=dict(run.config),
        verdicts={verdict.claim: verdict.word.value for verdict in run.verdicts},
        scores=[ScoreRow(**_numbers(asdict(score))) for score in run.scores],
        days=[
            DayRow(
                row=list(key),
                first_day=each.first_day,
                total=[_rounded(x) for x in each.total.tolist()],
                count=[_rounded(x) for x in each.count.tolist()],
                freedom=each.freedom,
            )
            for key, each in days.items()
        ],
        history=list(history),
    )


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with null for what is no number, and floats to a dozen digits."""
    return {k: _number(v) if isinstance(v, float) else v for k, v in row.items()}


def _number(value: float) -> float | None:
    return _rounded(value) if math.isfinite(value) else None


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def save_baseline(baseline: Baseline, path: Path) -> None:
    """Write a baseline, a row a line: whole or not at all.

    Raises
    ------
    DataError
        If it cannot be written; what was there is as before.
    """
    parts = []
    for name, value in baseline.model_dump().items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {_json(row)}" for row in value)
            parts.append(f' "{name}": [\n{rows}\n ]')
        else:
            parts.append(f' "{name}": {_json(value)}')
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    Baseline.model_validate(json.loads(text))  # what could not be read again is never written
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
