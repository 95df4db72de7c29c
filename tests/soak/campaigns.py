"""The campaigns by name, and how many tries each makes of each of its faults in `make soak`."""

from __future__ import annotations

from soak import bounds, disk, fuzz, inputs, kills, logs, names, struck, yamls
from soak.row import Campaign
from soak.vendors import vendor_campaigns

__all__ = ["ATTACKS", "CAMPAIGNS"]

CAMPAIGNS: dict[str, tuple[Campaign, int]] = {
    "archives": (inputs.archives, 1),
    "names": (names.names, 1),
    "absent": (inputs.absent, 1),
    "estimators": (inputs.estimators, 1),
    "damaged": (logs.damaged, 200),
    "flips": (logs.flips, 10_000),
    "at_once": (kills.at_once, 40),
    "interrupted": (kills.interrupted, 200),
    "killed": (kills.killed, 200),
    "failing_disk": (disk.failing_disk, 90),
    "full_disk": (disk.full_disk, 20),
    "read_only": (disk.read_only, 1),
    "experiments": (yamls.experiments, 20_000),
    "worlds": (yamls.worlds, 20_000),
    "column_maps": (fuzz.column_maps, 20_000),
    "tabular": (fuzz.tabular, 100_000),
    **{name: (campaign, 100_000) for name, campaign in vendor_campaigns().items()},
}

_OF_EACH = round(12_646 / 3)
ATTACKS: dict[str, tuple[Campaign, int]] = {
    "results": (struck.results, 111),
    "tapes": (struck.tapes, 111),
    "fetch_full": (struck.fetch_full, 8),
    "unseal_killed": (struck.unseal_killed, 12),
    "power": (struck.power, 8),
    "kernels": (bounds.kernels, 200),
    "levels": (bounds.levels, 100),
    "unbounded": (bounds.unbounded, 1),
    "processors": (bounds.processors, 6),
    **{name: (CAMPAIGNS[name][0], _OF_EACH) for name in ("experiments", "worlds", "column_maps")},
}
"""What once found faults, again at the counts at which it did (`research/attacks`)."""
