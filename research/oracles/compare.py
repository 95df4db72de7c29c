"""Hold liqbt's scores against lifelines and pyCSEP, which live in an environment of their own.

python -m research.oracles.compare PYTHON, the interpreter of that environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from liqbt.evaluation.inference.days import day_sums, hac_se
from liqbt.evaluation.probability import log_score
from liqbt.types import DAY_NS, FloatArray
from research.methods.duration import Cause, Incidence, cumulative_incidence, restricted_mean_time
from research.methods.ranking import molchan, roc

_HERE = Path(__file__).resolve().parent
_HOURS = 24.0
_JITTER = 1e-3
"""lifelines moves tied times apart by a little: its curve is read so long after a time."""


def episodes(rng: np.random.Generator, *, hours: bool) -> tuple[FloatArray, Any]:
    """Return times to the end of 500 episodes and their causes, visits and withdrawals racing.

    `hours`: times are whole hours, as those of hourly bars, so that many are tied.
    """
    visit, gone = rng.exponential(20.0, 500), rng.exponential(35.0, 500)
    left = rng.uniform(6.0, 60.0, 500)
    ends = np.column_stack([np.minimum(left, _HOURS * rng.uniform(0.9, 1.1, 500)), visit, gone])
    cause = ends.argmin(axis=1)
    time = ends.min(axis=1)
    return (np.ceil(time), cause) if hours else (time, cause)


def cases() -> dict[str, tuple[dict[str, Any], FloatArray]]:
    """Return, by name, what is asked of the other libraries, and our answer."""
    rng = np.random.default_rng(2025)
    out: dict[str, tuple[dict[str, Any], FloatArray]] = {}
    for said, hours in (("distinct times", False), ("whole hours", True)):
        time, cause = episodes(rng, hours=hours)
        for which in (Cause.VISIT, Cause.WITHDRAWAL):
            ours = cumulative_incidence(time, cause, which)
            ask = {"ask": "incidence", "time": time.tolist(), "cause": cause.tolist()}
            ask |= {"which": int(which), "at": ours.time.tolist(), "after": _JITTER * hours}
            name = f"cumulative incidence of {which.name.lower()}, {said}"
            out[name] = (ask, ours.share)
    out["restricted mean time to visit, 24 h"] = _restricted(rng)
    out["information gain per event, and its standard error"] = _gain(rng)
    score, events = rng.gamma(0.5, size=300), np.zeros(300)
    events[rng.choice(300, 40, replace=False, p=score / score.sum())] = 1.0
    ask = {"score": score.tolist(), "events": events.tolist()}
    curve = molchan(score, events, np.ones(300))
    twice = np.append(_points(curve.x, curve.y), [curve.x[-1], curve.y[-1]])
    out["Molchan's diagram"] = ({"ask": "molchan", **ask}, twice)  # theirs ends twice
    curve = roc(score, events)
    out["ROC"] = ({"ask": "roc", **ask}, _points(curve.x, curve.y))
    return out


def _points(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return points in turn."""
    return np.asarray(np.column_stack([x, y]).ravel())


def _restricted(rng: np.random.Generator) -> tuple[dict[str, Any], FloatArray]:
    """Return a case without withdrawals: then the two curves are one."""
    time, cause = episodes(rng, hours=False)
    cause = np.where(cause == Cause.WITHDRAWAL, Cause.CENSORED, cause)
    ours: Incidence = cumulative_incidence(time, cause, Cause.VISIT)
    ask = {"ask": "restricted_mean", "time": time.tolist(), "cause": cause.tolist()}
    ask |= {"which": int(Cause.VISIT), "until": _HOURS}
    return ask, np.array([restricted_mean_time(ours, _HOURS)])


def _gain(rng: np.random.Generator) -> tuple[dict[str, Any], FloatArray]:
    """Return 80 events, one a day, in cells of two forecasts that expect as many in all."""
    p, q = rng.dirichlet(np.full(200, 0.5)), rng.dirichlet(np.full(200, 2.0))
    cell = rng.choice(200, 80, p=p)
    a, b, happened = p[cell], q[cell], np.ones(80)
    gained = log_score(a, happened) - log_score(b, happened)
    days = day_sums(gained, DAY_NS * np.arange(80))
    ask = {"ask": "gain", "rate_a": (80.0 * a).tolist(), "rate_b": (80.0 * b).tolist()}
    return {**ask, "total_a": 80.0, "total_b": 80.0}, np.array([days.ratio, hac_se(days, 0)])


def main(python: str) -> str:
    """Return the table of what both sides say."""
    made = cases()
    asked = json.dumps({name: ask for name, (ask, _) in made.items()})
    done = subprocess.run(
        [python, str(_HERE / "theirs.py")], input=asked, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{python} could not answer: {done.stderr.strip().splitlines()[-1:]}")
    said = json.loads(done.stdout)
    lines = [
        _versions(said["versions"]),
        "",
        "| case | values | ours | theirs | largest difference |",
    ]
    lines.append("|---|--:|--:|--:|--:|")
    for name, (_, ours) in made.items():
        theirs = np.array(said["answers"][name])
        if len(ours) != len(theirs):
            raise SystemExit(f"{name}: {len(ours)} values of ours, {len(theirs)} of theirs")
        last = min(len(ours), 2)
        shown = (" and ".join(f"{v:.6f}" for v in values[:last]) for values in (ours, theirs))
        if len(ours) > 2:
            shown = (f"mean {values.mean():.6f}" for values in (ours, theirs))
        gap = float(np.abs(ours - theirs).max())
        lines.append(f"| {name} | {len(ours)} | {' | '.join(shown)} | {gap:.1e} |")
    return "\n".join(lines)


def _versions(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m research.oracles.compare PYTHON")
    print(main(sys.argv[1]))
