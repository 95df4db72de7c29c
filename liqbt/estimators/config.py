"""What estimators are configured with: their market, and the parameters that all maps share.

Both are frozen and checked once. A default stands here, or in the `Params` of the estimator whose
it is, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from liqbt.errors import ConfigError
from liqbt.margin.tiers import TierTable
from liqbt.types import DAY_NS, MINUTE_NS, DensityGrid, Kind

_MOST_SLOTS: Final = 1_000_000
_MOST_BINS: Final = 1_000_000


class _AsDuration:
    """Reads and writes a field by the grammar that the validation's context brings.

    The grammar of durations is the configuration's: whoever validates `Params` hands it over as
    `{"read": text → ns, "write": ns → text}`. Without it the field is an integer.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_before_validator_function(
            lambda value, info: info.context["read"](value) if info.context else value,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value, info: info.context["write"](value) if info.context else value,
                info_arg=True,
            ),
        )


Duration: TypeAlias = Annotated[int, _AsDuration()]
"""A field of `Params` that is written as `30d` and kept as int64 nanoseconds."""

RULES_DTYPE: Final = np.dtype(
    [
        ("price_kind", "<i8"),
        ("sampling_ns", "<i8"),
        ("min_coverage", "<f8"),
        ("step", "<f8"),
        ("half", "<i8"),
        ("fine_bins", "<i8"),
        ("coarse", "<i8"),
        ("reach", "<f8"),
        ("half_width", "<i8"),
        ("prominence", "<f8"),
        ("asymmetry_bins", "<i8"),
        ("band_days", "<f8"),
    ]
)
"""The constants of `MapParams` as kernels read them: lengths in bins, reach in log price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSpec:
    """The market that an estimator is made for: what an experiment's `symbols` say of it.

    Attributes
    ----------
    symbol : str
        The experiment's name of the market.
    price_kind : Kind
        The kind that gives the mark: MARK; or BAR or TRADE, the last price that stands in for it.
    tiers : TierTable or None
        The venue's dated margin tiers; None where the experiment states no margin rule.
    """

    symbol: str
    price_kind: Kind = Kind.MARK
    tiers: TierTable | None = None

    @property
    def inverse(self) -> bool:
        """Whether its contracts are margined in their coin: so many USD, whatever the price."""
        return self.tiers is not None and any(tiers.rule for tiers in self.tiers.tiers)

    def __post_init__(self) -> None:
        if self.price_kind not in (Kind.MARK, Kind.BAR, Kind.TRADE):
            raise ConfigError(
                f"price_kind is {self.price_kind.name}: a price is MARK, BAR or TRADE"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MapParams:
    """The parameters of every estimator that emits a map; a subclass adds its own.

    σ is realised from the last price of each slot of a trailing window: the sum of squared log
    returns between consecutive filled slots over the time that they span. Below the coverage it is
    unknown and no forecast is issued; so it is where the price never moved.

    Attributes
    ----------
    sigma_window : int
        Length of the trailing window, ns.
    sigma_sampling : int
        Length of a slot, ns; it divides the window. No finer than the feed: with hourly bars it
        must be one hour, or coverage is never reached.
    sigma_min_coverage : float
        Share of the window's slots that must hold a price, in (0, 1].
    step : float
        Width of a bin in log price.
    grid_span : float
        The state's grid covers the first mark times e^±grid_span. What would be placed beyond is
        counted as outside, and while the mark itself is beyond no forecast is issued.
    fine_bins, coarse : int
        As in `DensityGrid`.
    reach : float
        Log distance that a forecast covers on each side; 3 σ of seven days where that is more.
        The default is a fall of 60 %.
    smoothing_bins : int
        Width of the triangular kernel in bins, odd.
    prominence : float
        A peak of the smoothed density becomes a cluster when it stands out by this share of the
        side's highest smoothed bin.
    asymmetry_reach : float
        Log distance within which the asymmetry is taken.
    band_edges_sigma : tuple of float
        Distance bands within which densities are ranked, in σ of the band horizon; below the first
        and above the last edge there is one more band each.
    band_horizon : int
        The horizon of that σ, ns.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    sigma_window: Duration = 3 * DAY_NS
    sigma_sampling: Duration = 5 * MINUTE_NS
    sigma_min_coverage: float = 0.5
    step: float = 5e-4
    grid_span: float = 3.0
    fine_bins: int = 200
    coarse: int = 10
    reach: float = 0.92
    smoothing_bins: int = 7
    prominence: float = 0.10
    asymmetry_reach: float = 0.10
    band_edges_sigma: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.5)
    band_horizon: Duration = DAY_NS

    def __post_init__(self) -> None:
        if not 0 < self.sigma_sampling <= self.sigma_window // 2 or (
            self.sigma_window % self.sigma_sampling
        ):
            raise ConfigError(
                f"sigma_sampling is {self.sigma_sampling} ns: it must divide sigma_window "
                f"({self.sigma_window} ns) into at least two slots"
            )
        if self.n_slots > _MOST_SLOTS:
            raise ConfigError(
                f"'sigma_window' holds {self.n_slots} times 'sigma_sampling'; at most {_MOST_SLOTS}"
            )
        self.check(
            sigma_min_coverage=0.0 < self.sigma_min_coverage <= 1.0,
            step=0.0 < self.step <= 0.01 and 2.0 * self.grid_span / self.step <= _MOST_BINS,
            grid_span=0.0 < self.grid_span <= 20.0,
            fine_bins=1 <= self.fine_bins <= _MOST_BINS,
            coarse=1 <= self.coarse <= _MOST_BINS,
            reach=self.step <= self.reach <= self.grid_span,
            smoothing_bins=1 <= self.smoothing_bins <= 101 and self.smoothing_bins % 2 == 1,
            prominence=0.0 < self.prominence < 1.0,
            asymmetry_reach=self.step <= self.asymmetry_reach <= self.reach,
            band_edges_sigma=len(self.band_edges_sigma) >= 1
            and self.band_edges_sigma[0] > 0.0
            and all(a < b for a, b in pairwise(self.band_edges_sigma)),
            band_horizon=self.band_horizon > 0,
        )

    def check(self, **holds: bool) -> None:
        """Refuse the first parameter, by name, of which what must hold does not.

        Raises
        ------
        ConfigError
            Names the parameter and its value.
        """
        for name, held in holds.items():
            if not held:
                raise ConfigError(f"{name} is {getattr(self, name)}: out of range")

    @property
    def n_slots(self) -> int:
        """Slots in the window of σ."""
        return self.sigma_window // self.sigma_sampling

    def grid(self, anchor: float) -> DensityGrid:
        """Return the grid of a forecast whose tape's first mark was `anchor`."""
        return DensityGrid(
            anchor=anchor, step=self.step, fine_bins=self.fine_bins, coarse=self.coarse
        )


def rules(params: MapParams, price_kind: Kind) -> npt.NDArray[Any]:
    """Return the constants that kernels read: one record of `RULES_DTYPE`."""
    out = np.zeros(1, dtype=RULES_DTYPE)
    out["price_kind"] = int(price_kind)
    out["sampling_ns"] = params.sigma_sampling
    out["min_coverage"] = params.sigma_min_coverage
    out["step"] = params.step
    out["half"] = math.ceil(params.grid_span / params.step)
    out["fine_bins"] = params.fine_bins
    out["coarse"] = params.coarse
    out["reach"] = params.reach
    out["half_width"] = params.smoothing_bins // 2
    out["prominence"] = params.prominence
    out["asymmetry_bins"] = round(params.asymmetry_reach / params.step)
    out["band_days"] = params.band_horizon / DAY_NS
    return out
