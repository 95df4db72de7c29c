"""A campaign made up by hand: its tallies, and a signed document with a few real pinned markets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from liqbt.config.yaml import read_yaml
from liqbt.evaluation.claims.claim import Claim
from liqbt.evaluation.claims.register import CLAIMS, TRIALS
from liqbt.study.pinned import Numbers, pinned_numbers
from liqbt.study.trials import TESTS, Where, places
from liqbt.study.worlds import WORLDS
from liqbt.validity.campaign import Campaign, KeptCell
from liqbt.validity.jobs import BATCH, PLANTED, Job, tallied_names
from liqbt.validity.summary import gate_document
from liqbt.validity.tallies import Tally
from liqbt.validity.validate import write_signed

TRIED: list[Claim] = [claim for claim in TESTS.values() if claim.id in TRIALS]
"""Claims that are made true somewhere."""
FIRST, SECOND = sorted(
    (claim for claim in TRIED if not TRIALS[claim.id].true_by_default),
    key=lambda claim: not TRIALS[claim.id].oracle,
)[:2]
"""Two that are false where nothing is planted; the first is about where the price goes."""
UNTRIED = {claim.id for claim in CLAIMS} - {claim.id for claim in TRIED}
"""Claims that no campaign can clear."""


def tally(n: int, found: int, *, value: float = 0.001, **more: Any) -> Tally:
    """A tally of n markets in which the claim was found so often."""
    held: dict[str, Any] = {
        "batches": -(-n // BATCH),
        "markets": n,
        "tested": n,
        "found": found,
        "above": found,
        "valued": n,
        "value": n * value,
        "value2": n * (value * value + 0.01),
        "n_days": 105 * n,
        "n_episodes": 106 * n,
    }
    return Tally(**{**held, **more})


def measured(effect: float, batches: int) -> dict[str, Any]:
    """The part of a tally that an effect of the truth makes."""
    sums = {"effect": effect, "factual": 0.2}
    return {
        "measured": batches,
        "measured_factual": batches,
        **{name: batches * held for name, held in sums.items()},
        **{f"{name}2": batches * held * held for name, held in sums.items()},
    }


def sized(
    found: Mapping[str, int] | None = None,
    *,
    n: int = 1000,
    oracle: int = 8,
    lengths: tuple[int, ...] = (120,),
) -> Campaign:
    """A campaign of `n` markets where nothing is planted: `FIRST` is found so often, by world.

    Every other test is found as often as it says of itself, and where another claim is true there
    are three tenths as many markets, at its first strength.
    """
    cells: dict[str, dict[str, Tally]] = {}
    for claim in TESTS.values():
        for place in places(claim, lengths):
            some = n if place.needed == 1000 else 3 * n // 10
            k = (found or {}).get(place.world, -1) if claim == FIRST else -1
            role, strength = "size", 0.0
            if place.where == Where.PLANTED:
                role, strength = "power", PLANTED[place.world][0]
            job = Job(role=role, world=place.world, strength=strength, days=place.days, batch=0)
            held = tally(some, k if k >= 0 else some // 40)
            cells.setdefault(job.cell, {})[claim.id] = held
    seen = Job(role="oracle", world="gbm", strength=0.0, days=min(lengths), batch=0)
    if oracle >= 0:
        cells[seen.cell] = {name: tally(8, oracle) for name in TESTS}
    kept = {name: KeptCell(of="by hand", tallies=held) for name, held in cells.items()}
    return Campaign(root=1, cells=kept)


def planted(
    campaign: Campaign,
    powers: Mapping[float, int],
    *,
    claim: Claim = FIRST,
    n: int = 40,
    days: int = 120,
    effect: Any = lambda strength: 0.1 * strength,
    **more: Any,
) -> Campaign:
    """Return a campaign with `n` markets of each strength, and so many found, of a claim."""
    for strength, found in powers.items():
        job = Job(role="power", world=claim.id, strength=strength, days=days, batch=0)
        before = campaign.cells.get(job.cell, KeptCell(of="by hand")).tallies
        held = tally(n, found, value=more.pop("value", 0.3), **measured(effect(strength), n // 4))
        names = tallied_names(job, claim.id)
        tallies = {**before, **dict.fromkeys(names[1:], tally(n, n)), names[0]: held}
        campaign.cells[job.cell] = KeptCell(of="by hand", unit="share", tallies=tallies)
    return campaign


def _batch(world: str, numbers: list[int], claim: str | None) -> dict[str, Any]:
    mapping = dict(read_yaml(WORLDS / f"{world}.yaml"))
    changes = {"days": 45}
    return {"world": mapping, "changes": changes, "numbers": numbers, "cheat": False,
            "claim": claim}  # fmt: skip


BATCHES = [
    _batch("regimes", [0], None),
    *(_batch(TRIALS[c.id].world or c.id, [0, 1], c.id) for c in (FIRST, SECOND)),
]
"""Five short markets."""


def numbers() -> Numbers:
    """What they give, of the claims that are tried."""
    return _numbers(tuple(TESTS))


@cache
def _numbers(_tried: tuple[str, ...]) -> Numbers:
    return pinned_numbers(BATCHES, 1)


def signed(folder: Path, found: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Write into `folder` a document that clears both tests, or those with few enough findings."""
    campaign = sized(found)
    for claim in (FIRST, SECOND):
        planted(campaign, {PLANTED[claim.id][-1]: 40}, claim=claim)
    levels = {"word": "absent", "reason": "no candles"}
    document = gate_document(campaign, levels=levels)
    return write_signed(folder, document, BATCHES, numbers())
