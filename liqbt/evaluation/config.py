"""What evaluation needs to be told, and the two small values that it is told it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from liqbt.config.fields import format_duration
from liqbt.config.schema import DISTANCE_BANDS, EvaluationOptions
from liqbt.errors import ConfigError
from liqbt.evaluation.cascades import Cascades
from liqbt.evaluation.depth import Depth
from liqbt.evaluation.forced import Forced
from liqbt.evaluation.funding import Funding
from liqbt.evaluation.nulls.levels import Anchors
from liqbt.evaluation.path import PricePath
from liqbt.types import DAY_NS, Forecast, Ns

PRIMARY_NS: Final[Ns] = DAY_NS
"""The primary horizon: models are made, and other maps stand beside the dose, at its landmarks."""

METHOD: Final = EvaluationOptions()
"""The protocol's defaults, as an experiment has them."""


def horizon_name(horizon_ns: Ns) -> str:
    """Return how a horizon is written in a score.

    Examples
    --------
    >>> from liqbt.types import HOUR_NS
    >>> [horizon_name(h * HOUR_NS) for h in (4, 24, 168)]
    ['4h', '24h', '7d']
    """
    return format_duration(horizon_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """The protocol of one evaluation; the defaults are METHOD's.

    Attributes
    ----------
    horizons_ns : tuple of int
        Horizons, increasing.
    latency_ns : int
        From issue to the first moment that is watched.
    floor, ceiling : float
        An eligible cluster's near edge lies between these distances, in σ_h (closed).
    iou : float
        Intersection over union in log price from which on two clusters are one.
    bands : tuple of float
        Edges of the distance bands in σ_h: half-open, the last one closed.
    dense_rank : float
        A cluster is dense where its density rank is above this (0.8: the top fifth).
    bootstrap_reps : int
        Replications of the stationary bootstrap of days.
    ridge : float
        Precision of the prior on the coefficients of all models.
    """

    horizons_ns: tuple[int, ...] = METHOD.horizons
    latency_ns: Ns = METHOD.latency
    floor: float = METHOD.distance_floor
    ceiling: float = METHOD.distance_ceiling
    iou: float = METHOD.iou
    bands: tuple[float, ...] = DISTANCE_BANDS
    dense_rank: float = 0.8
    bootstrap_reps: int = METHOD.bootstrap_reps
    ridge: float = METHOD.ridge

    def __post_init__(self) -> None:
        """Refuse what cannot be right.

        Raises
        ------
        ConfigError
            Names the key, what was found and what is expected.
        """
        if not self.horizons_ns or any(h <= self.latency_ns for h in self.horizons_ns):
            raise ConfigError(
                f"evaluation.horizons: found {[horizon_name(h) for h in self.horizons_ns]}; "
                f"expected at least one, each longer than the latency of {self.latency_ns} ns"
            )
        if list(self.horizons_ns) != sorted(set(self.horizons_ns)):
            raise ConfigError("evaluation.horizons: expected increasing values without repeats")
        if self.latency_ns < 0:
            raise ConfigError(f"evaluation.latency: found {self.latency_ns} ns; expected 0 or more")
        if not 0 <= self.floor < self.ceiling:
            raise ConfigError(
                f"evaluation.distance_floor: found {self.floor:g}; "
                f"expected 0 or more and below the ceiling of {self.ceiling:g}"
            )
        if not 0 < self.iou <= 1:
            raise ConfigError(f"evaluation.iou: found {self.iou:g}; expected it in (0, 1]")
        if len(self.bands) < 2 or list(self.bands) != sorted(set(self.bands)):
            raise ConfigError("evaluation.bands: expected two or more increasing edges")
        if self.bootstrap_reps < 100:
            raise ConfigError(
                f"evaluation.bootstrap_reps: found {self.bootstrap_reps}; expected 100 or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketInput:
    """One market to evaluate.

    Attributes
    ----------
    symbol : str
        The experiment's name of the market; not `pooled`, which is all of them together.
    forecasts : sequence of Forecast
        Those to be scored (after the warm-up), in order of issue.
    path : PricePath
        The prices that decide outcomes.
    anchors : Anchors or None
        Times of issue at which the placebo model may learn, those before scoring begins too; by
        default those of the forecasts.
    competing_maps : mapping of str to sequence of Forecast
        Other maps of the same market by their names (structural ones), issued at least at the
        landmarks of 24 h: what the dose-response must survive beside. None by default.
    twin : sequence of Forecast or None
        What the estimator's price-only twin issued, at least at the times of `forecasts` that it
        did not decline: what the price path alone would have drawn. None: there is no twin.
    funding : Funding or None
        Rates, where they are fed.
    cascades : Cascades or None
        What began in each hour, where that is asked about.
    forced : Forced or None
        What was liquidated, where that is fed.
    depth : Depth or None
        Published depth, where it is fed.
    """

    symbol: str
    forecasts: Sequence[Forecast]
    path: PricePath
    anchors: Anchors | None = None
    competing_maps: Mapping[str, Sequence[Forecast]] = field(default_factory=dict)
    twin: Sequence[Forecast] | None = None
    funding: Funding | None = None
    cascades: Cascades | None = None
    forced: Forced | None = None
    depth: Depth | None = None
