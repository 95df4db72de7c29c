"""The campaigns by name, and how many tries each makes of each of its faults in `make soak`."""

from __future__ import annotations

from soak import disk, fuzz, inputs, kills, logs, names, yamls
from soak.row import Campaign
from soak.vendors import vendor_campaigns

__all__ = ["CAMPAIGNS"]

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
