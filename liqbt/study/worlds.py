"""Simulated worlds: their files, and those that ship with liqbt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from liqbt.config.yaml import nearest, read_yaml
from liqbt.errors import ConfigError
from liqbt.simulate.world import World
from liqbt.study.estimators import shipped_tiers

WORLDS: Final = Path(__file__).resolve().parent.parent / "data" / "worlds"
"""Folder of the worlds that ship with liqbt."""


def world_file(name: str, folder: Path) -> Path:
    """Return the file of a world: `x.yaml` lies in `folder`, a bare `x` ships with liqbt.

    Raises
    ------
    ConfigError
        If no world of that name ships.
    """
    if Path(name).suffix:
        return folder / name
    shipped = sorted(path.stem for path in WORLDS.glob("*.yaml"))
    if name not in shipped:
        raise ConfigError(
            f"no world that ships with liqbt is called '{name}'; {nearest(name, shipped)} - a file "
            "of one's own ends in .yaml"
        )
    return WORLDS / f"{name}.yaml"


def load_world(path: Path) -> World:
    """Read a simulated world's YAML; `tiers` may name a symbol of the shipped margin tiers.

    Raises
    ------
    ConfigError
        The file or a key in it cannot be used; names it.
    """
    return world_from(read_yaml(path), str(path))


def world_from(mapping: Mapping[str, Any], source: str) -> World:
    """Return the world of a mapping, as `load_world` that of a file; `source` is named in errors.

    Raises
    ------
    ConfigError
        If a key cannot be used.
    """
    raw = dict(mapping)
    exchange = raw.get("exchange")
    if isinstance(exchange, Mapping) and "tiers" in exchange and "tiers" not in raw:
        raw["exchange"] = {k: v for k, v in exchange.items() if k != "tiers"}
        raw["tiers"] = exchange["tiers"]
    name = raw.get("tiers")
    if isinstance(name, str):
        tables = shipped_tiers()
        if name not in tables:
            raise ConfigError(f"{source}: no margin tiers for '{name}'; {nearest(name, tables)}")
        raw["tiers"] = tables[name]
    return World.from_mapping(raw, source=source)
