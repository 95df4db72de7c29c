"""The models of the direction claim, and the same models without what the claim says matters.

Two questions are asked at each landmark: which of its two levels is reached first, and whether a
cascade begins within the horizon, up, down or not at all. (Large moves, whatever was forced in
them, are a third: a cascade leans to the crowded side by definition, a large move does not.)

- **First side.** The outcome is made of the two levels, so that a model without their distances
  would lose to one with them where nobody trades at all. All models of it know the two-barrier
  Brownian probabilities and the distances; `full` knows the asymmetry, `ablated` does not.
- **Cascades** are defined without any forecast: `ablated` lacks asymmetry and distances.

Decision 0023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from liqbt.calibrate.walk import ModelOptions, Walked, walk_forward_multinomial
from liqbt.types import FloatArray

_Covariates = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of those that point up or down, and of those that do not."""

_CONTROLS: Final[_Covariates] = (
    ("trend_1d", "trend_3d", "funding"),
    ("volatility", "open_interest_1d"),
)
_DISTANCES: Final[_Covariates] = (("distance_difference",), ("distance_mean",))


def _joined(*parts: _Covariates) -> _Covariates:
    return tuple(n for p in parts for n in p[0]), tuple(n for p in parts for n in p[1])


_ASYMMETRY: Final[_Covariates] = (("asymmetry",), ())

FIRST_SIDE_MODELS: Final[Mapping[str, _Covariates]] = {
    "full": _joined(_ASYMMETRY, _DISTANCES, _CONTROLS),
    "ablated": _joined(_DISTANCES, _CONTROLS),
    "momentum": (("trend_1d", "trend_3d"), ()),
    "funding": (("funding_sign",), ()),
    "nearest": (("distance_difference",), ()),
}
"""`nearest` starts from equal chances of both sides, the others from two-barrier Brownian."""

CASCADE_MODELS: Final[Mapping[str, _Covariates]] = {
    "full": _joined(_ASYMMETRY, _DISTANCES, _CONTROLS),
    "ablated": _CONTROLS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What the models issued; each row is that of the landmark given.

    Attributes
    ----------
    first_side : mapping of str to Walked
        By `FIRST_SIDE_MODELS`.
    coin : ndarray of float64, shape (n, 3)
        Equal chances of both sides; that of neither is two-barrier Brownian.
    cascade, large_move : mapping of str to Walked
        By `CASCADE_MODELS`.
    """

    first_side: Mapping[str, Walked]
    coin: FloatArray
    cascade: Mapping[str, Walked]
    large_move: Mapping[str, Walked]

    def after(self, n: int) -> Foreseen:
        """Return what was issued at the landmarks after the first `n`."""

        def later(models: Mapping[str, Walked]) -> dict[str, Walked]:
            return {
                name: Walked(p=one.p[n:], tilt=one.tilt[n:], n_trained=one.n_trained[n:])
                for name, one in models.items()
            }

        return Foreseen(
            first_side=later(self.first_side),
            coin=self.coin[n:],
            cascade=later(self.cascade),
            large_move=later(self.large_move),
        )


def foresee_landmarks(rows: npt.NDArray[Any], options: ModelOptions) -> Foreseen:
    """Issue the probabilities of every model at every landmark.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Landmarks of one horizon, all symbols together, with the fields of
        `evaluation.LANDMARK_DTYPE`.
    options : ModelOptions
        How they learn.

    Returns
    -------
    Foreseen
        Probabilities of the first side are NaN where it is not scored.
    """
    brownian = np.column_stack([rows["q_up"], rows["q_down"], rows["q_neither"]])
    q = np.where(rows["scored"][:, None], np.clip(brownian, 1e-9, 1.0), np.nan)
    neither = q[:, 2:]
    half = np.clip(0.5 * (1.0 - neither), 1e-9, 1.0)
    coin = np.hstack([half, half, neither])
    first = {
        name: _walk(
            rows, used, rows["outcome"], rows["scored"], options, coin if name == "nearest" else q
        )
        for name, used in FIRST_SIDE_MODELS.items()
    }
    known = rows["cascade_known"]
    return Foreseen(
        first_side=first,
        coin=coin,
        cascade=_hours(rows, rows["cascade"], known, options),
        large_move=_hours(rows, rows["large_move"], known, options),
    )


def _hours(
    rows: npt.NDArray[Any],
    outcome: npt.NDArray[np.int8],
    known: npt.NDArray[np.bool_],
    options: ModelOptions,
) -> dict[str, Walked]:
    return {
        name: _walk(rows, used, outcome, known, options, None)
        for name, used in CASCADE_MODELS.items()
    }


def _walk(
    rows: npt.NDArray[Any],
    used: _Covariates,
    outcome: npt.NDArray[np.int8],
    trains: npt.NDArray[np.bool_],
    options: ModelOptions,
    base: FloatArray | None,
) -> Walked:
    target = np.column_stack([outcome > 0, outcome < 0, outcome == 0]).astype(np.float64)
    if base is not None:
        target[rows["tie"]] = (0.5, 0.5, 0.0)
    odd, even = (_columns(rows, names) for names in used)
    return walk_forward_multinomial(
        at=rows["at"],
        matured_ns=rows["matured_ns"],
        target=target,
        trains=trains,
        odd=odd,
        even=even,
        offset=None if base is None else np.log(base),
        options=options,
    )


def _columns(rows: npt.NDArray[Any], names: tuple[str, ...]) -> FloatArray:
    """Return covariates by name, those that are made of two others too."""
    columns = np.zeros((len(rows), len(names)))
    for i, name in enumerate(names):
        if name == "distance_difference":  # positive where the level above is nearer
            columns[:, i] = rows["down_sigma"] - rows["up_sigma"]
        elif name == "distance_mean":
            columns[:, i] = 0.5 * (rows["down_sigma"] + rows["up_sigma"])
        elif name == "funding_sign":
            columns[:, i] = np.sign(rows["funding"])
        else:
            columns[:, i] = rows[name]
    return columns
