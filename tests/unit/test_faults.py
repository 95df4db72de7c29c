"""A bounded part of every campaign of `make soak`: nothing may be lost, and each must try."""

from __future__ import annotations

from itertools import islice

import pytest
from soak.campaigns import CAMPAIGNS
from soak.disk import failing_disk
from soak.row import Row, table

BOUNDED = {
    "archives": 1,
    "damaged": 6,
    "flips": 150,
    "experiments": 40,
    "worlds": 100,
    "column_maps": 100,
    "tabular": 150,
    "okx": 60,
    "tardis": 60,
    "hyperliquid": 60,
    "binance": 100,
}


def held(rows: list[Row]) -> None:
    assert sum(row.lost for row in rows) == 0, table(rows)
    assert all(row.tried > 0 or row.skipped for row in rows), table(rows)


@pytest.mark.parametrize("name", sorted(BOUNDED))
def test_nothing_is_lost(name, tmp_path):
    campaign, _ = CAMPAIGNS[name]
    held(list(campaign(BOUNDED[name], 7, tmp_path)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tries", "rows"),
    [
        ("absent", 1, 1),
        pytest.param("estimators", 1, 2, marks=pytest.mark.nightly),
        ("interrupted", 4, 2),
        ("killed", 4, 2),
        ("at_once", 2, 2),
        ("read_only", 1, 2),
    ],
)
def test_nothing_is_lost_in_processes(name, tries, rows, tmp_path, monkeypatch):
    """The first rows: ingest and simulate; whole runs are struck in `make soak` alone."""
    monkeypatch.delenv("LIQBT_DATA", raising=False)  # a run says where it is set
    tmp_path.chmod(0o755)
    campaign, _ = CAMPAIGNS[name]
    found = list(islice(campaign(tries, 7, tmp_path), rows))
    assert len(found) == rows
    held(found)


def test_a_disk_that_fails_leaves_an_ingest_whole(tmp_path):
    found = list(islice(failing_disk(6, 7, tmp_path), 3))
    assert len(found) == 3
    held(found)
