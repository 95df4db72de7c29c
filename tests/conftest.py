"""Shared fixtures: where the real data is, and a quiet, reproducible hypothesis."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile(
    "liqbt", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", parent=settings.get_profile("liqbt"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "liqbt")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests: one that is begun last leaves a worker idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are composed and not rendered.

    For files whose tests look at words and tables. Those marked `drawn` get their pictures, and so
    do fixtures that more than one test shares.
    """
    if not request.node.get_closest_marker("drawn"):
        from undrawn import not_rendered  # it imports matplotlib

        not_rendered(monkeypatch.setattr)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's root."""
    return ROOT


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data, or a skip that says why."""
    path = Path(os.environ.get("LIQBT_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "SHA256SUMS").is_file():
        pytest.skip(f"no real data: set LIQBT_DATA to its folder ({path} is absent)")
    return path
