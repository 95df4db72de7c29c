"""A run against its baseline: what is worse, what has moved, what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liqbt.errors import DataError
from liqbt.evaluation.claims.register import statistic_of
from liqbt.evaluation.inference.estimates import POOLED
from liqbt.evaluation.paired import PairedDifference
from liqbt.evaluation.statistic import Better
from liqbt.gate.baseline import Baseline, Change, Moved, baseline_of, load_baseline, save_baseline
from liqbt.gate.identity import (
    ABSENT,
    Identity,
    IdentityDifference,
    flat_config,
    identity_differences,
    identity_of,
)
from liqbt.gate.rules import (
    Finding,
    deciding_rows,
    findings,
    pair,
    pairs_maps,
    rounding,
    row_days,
    tolerance,
    unit_count,
)
from liqbt.log.disk import one_at_a_time
from liqbt.study.identity import is_of_the_map
from liqbt.study.store import Key, Run, key_of
from liqbt.types import Score

_SHOWN: Final = 1e-9
_ORDER: Final = ("loss", "missing", "lost", "drift", "null", "interval", "count")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What holding a run against a baseline found.

    Attributes
    ----------
    keys : tuple of Key
        Rows of the baseline.
    findings : tuple of Finding
        Row by row, those that fail first.
    verdicts : tuple of (str, str, str)
        Claims whose verdict is another word: claim, the baseline's word, the run's (`ABSENT` where
        it has none). On one tape each fails.
    identity : tuple of IdentityDifference
        What else differs.
    forecasts : mapping of str to bool
        By symbol, of a further estimator by NAME/symbol: whether the forecasts are the same.
    same_tape : bool
        Whether tolerances decided; else intervals did.
    """

    keys: tuple[Key, ...]
    findings: tuple[Finding, ...]
    verdicts: tuple[tuple[str, str, str], ...]
    identity: tuple[IdentityDifference, ...]
    forecasts: Mapping[str, bool]
    same_tape: bool

    @property
    def rows(self) -> int:
        """How many rows the baseline has."""
        return len(self.keys)

    @property
    def passed(self) -> bool:
        """Whether nothing failed: no finding, and on one tape no verdict."""
        return not any(f.fails for f in self.findings) and not (self.verdicts and self.same_tape)


def check(run: Run, baseline: Baseline, *, across_tapes: bool = False) -> GateReport:
    """Hold a run against a baseline.

    Parameters
    ----------
    run : Run
        From `open_run`.
    baseline : Baseline
        From `load_baseline`.
    across_tapes : bool
        Compare runs of other tapes or configurations too: then it is not tolerances that decide but
        intervals, on the rows that verdicts rest on.

    Raises
    ------
    DataError
        If the tape or the configuration is another one and `across_tapes` is not given.
    """
    identity = identity_differences(_identity(baseline), identity_of(run))
    apart = [difference for difference in identity if not difference.comparable]
    if apart and not across_tapes:
        raise DataError(
            f"{run.path} cannot be held to the tolerances of this baseline: "
            f"{'; '.join(d.sentence for d in apart[:3])} differ"
            f"{f' and {len(apart) - 3} more' if len(apart) > 3 else ''}; renew the baseline with "
            "liqbt baseline update, or let intervals decide with --across-tapes"
        )
    rows, deciding = baseline.rows(), deciding_rows(run)
    if not all(is_of_the_map(d.name) for d in identity if d.what == "config"):
        # other levels: what they score is no matter of the map alone
        deciding = frozenset(key for key in deciding if not pairs_maps(key))
    old_days = baseline.day_sums()
    same_events = not any(difference.what == "tape" for difference in apart)
    paired = pair(row_days(run, old_days), old_days) if same_events else {}
    scores = {key_of(score): score for score in run.scores}
    found = _findings(rows, scores, paired, deciding, within=not apart)
    words = {verdict.claim: verdict.word.value for verdict in run.verdicts}
    verdicts = [
        (claim, word, words.get(claim, ABSENT.value))
        for claim, word in baseline.verdicts.items()
        if words.get(claim) != word
    ]
    return GateReport(
        keys=tuple(rows),
        findings=tuple(sorted(found, key=lambda f: _weight(f, deciding))),
        verdicts=tuple(verdicts),
        identity=tuple(identity),
        forecasts=_forecasts(baseline.forecasts, run),
        same_tape=not apart,
    )


def _weight(found: Finding, deciding: frozenset[Key]) -> tuple[bool, bool, bool, int]:
    """Return the place of a finding: what fails, what verdicts rest on, what is pooled, losses."""
    rank = _ORDER.index(found.kind) if found.kind in _ORDER else len(_ORDER)
    return (not found.fails, found.key not in deciding, found.key.symbol != POOLED, rank)


def _forecasts(base: Mapping[str, str], run: Run) -> dict[str, bool]:
    new = dict(run.manifest["forecasts"])
    return {symbol: base.get(symbol) == new.get(symbol) for symbol in sorted({*base, *new})}


def _identity(baseline: Baseline) -> Identity:
    return Identity(
        config=flat_config(baseline.config),
        tape=baseline.tape,
        estimators=baseline.estimators,
        versions=baseline.versions,
        code=baseline.code,
        lock=baseline.lock,
    )


def _findings(
    rows: Mapping[Key, Score],
    scores: Mapping[Key, Score],
    paired: Mapping[Key, PairedDifference],
    deciding: frozenset[Key],
    *,
    within: bool,
) -> list[Finding]:
    """Compare row by row; `within` the tolerances, or by intervals."""
    found = [
        Finding(kind="missing", key=key, base=base, new=None)
        for key, base in rows.items()
        if key not in scores
    ]
    for key, base in rows.items():
        if key not in scores:
            continue
        if within:
            found += findings(base, scores[key], paired=paired.get(key), deciding=key in deciding)
        elif key in deciding:
            found += _by_interval(base, scores[key], paired.get(key))
    found += [
        Finding(kind="new", key=key, base=None, new=score)
        for key, score in scores.items()
        if key not in rows
    ]
    return found


def _by_interval(base: Score, new: Score, paired: PairedDifference | None) -> list[Finding]:
    """Return a loss that intervals are sure of: paired where they can be, else independent ones."""
    key, change = key_of(base), new.value - base.value
    if statistic_of(base.statistic).better == Better.NEITHER or math.isnan(base.value):
        return []
    if math.isnan(new.value):
        return [Finding(kind="lost", key=key, base=base, new=new)]
    if paired is None or math.isnan(paired.ci_low):
        half = math.hypot(new.ci_high - new.value, base.value - base.ci_low)
        spread = math.hypot(new.value - new.ci_low, base.ci_high - base.value)
        paired_low, paired_high = change - spread, change + half
    else:
        paired_low, paired_high = paired.ci_low, paired.ci_high
    interval = PairedDifference(
        value=change, ci_low=paired_low, ci_high=paired_high, n_days=min(base.n_days, new.n_days)
    )
    # the levels that no map draws are the same in both: there a tolerance says something too
    same_levels = pairs_maps(key) and paired is not None
    found = list(unit_count(base, new)) if same_levels else []
    if paired_high < -rounding(base) or (same_levels and change < -tolerance(base)):
        loss = Finding(
            kind="loss", key=key, base=base, new=new, change=change, tolerance=0.0, paired=interval
        )
        found.append(loss)
    return found


def update_baseline(run: Run, path: Path, reason: str) -> Change:
    """Make `run` what later runs are held against, and keep in the file why.

    Parameters
    ----------
    run : Run
        From `open_run`.
    path : Path
        The baseline; made where there is none.
    reason : str
        Why the new figures are right; one line.

    Raises
    ------
    DataError
        If the reason is empty, the file that is there is no baseline, or it is of another
        experiment.
    """
    reason = " ".join(reason.split())
    if not 10 <= len(reason) <= 400:
        raise DataError(
            f"the reason has {len(reason)} letters; say in 10 to 400 why the new figures are right"
        )
    name = str(run.manifest["experiment"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(path.parent):  # what is accepted meanwhile is not overwritten
            old = load_baseline(path) if path.exists() else None
            if old is not None and old.experiment != name:
                raise DataError(f"{path} is the baseline of {old.experiment}, the run is of {name}")
            change = _change(run, old, reason)
            save_baseline(baseline_of(run, [*(old.history if old else []), change]), path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    return change


def _change(run: Run, old: Baseline | None, reason: str) -> Change:
    new = {key_of(score): score for score in run.scores}
    code = str(run.manifest["hashes"]["code"])
    if old is None:
        return Change(reason=reason, run_id=run.run_id, code=code)
    rows = old.rows()
    identity = identity_differences(_identity(old), identity_of(run))
    return Change(
        reason=reason,
        run_id=run.run_id,
        code=code,
        before=old.run_id,
        other=[f"{d.sentence:.400}" for d in identity if d.what in ("tape", "config")],
        changed=[
            Moved(row=" ".join(key), old=_plain(rows[key].value), new=_plain(score.value))
            for key, score in new.items()
            if key in rows and _moved(rows[key].value, score.value)
        ],
        added=[" ".join(key) for key in new if key not in rows],
        removed=[" ".join(key) for key in rows if key not in new],
    )


def _moved(old: float, new: float) -> bool:
    if math.isnan(old) or math.isnan(new):
        return math.isnan(old) != math.isnan(new)
    return abs(new - old) > _SHOWN


def _plain(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
