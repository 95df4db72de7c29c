"""Shared fixtures: where the real data is, and a quiet, reproducible hypothesis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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


NO_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63600000"
    "0002000148afa4710000000049454e44ae426082"
)
NO_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'


@pytest.fixture
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are composed and not rendered, which is most of a report's time.

    For files whose tests look at words and tables. Those marked `drawn` get their pictures, and so
    do fixtures that more than one test shares.
    """
    if request.node.get_closest_marker("drawn"):
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    def png(_canvas: Any, out: Any, **_: Any) -> None:
        out.write(NO_PNG)

    def svg(_canvas: Any, out: Any, **_: Any) -> None:
        out.write(NO_SVG)

    monkeypatch.setattr(FigureCanvasAgg, "print_png", png)
    monkeypatch.setattr(FigureCanvasSVG, "print_svg", svg)


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
