"""What an estimator reached for while it was audited, and what its modules kept of a replay."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from types import ModuleType
from typing import Any, Final

import numpy as np

from liqbt.study.estimator_config import estimator_class
from liqbt.study.own_code import own_sources
from liqbt.study.schema import Experiment
from liqbt.watch import REACHES, Phase, Sighting, watched

_DEEPEST: Final = 6


@dataclass(slots=True, kw_only=True)
class Reached:
    """What was seen of one estimator on one market.

    Attributes
    ----------
    seen : mapping of Sighting to int
        What it reached for, and how often.
    """

    seen: Mapping[Sighting, int] = field(default_factory=dict)

    @property
    def undeclared(self) -> list[Sighting]:
        """What fails the audit: reads while it was asked, and before, what its class names not."""
        return [
            one
            for one in sorted(self.seen)
            if one.what in REACHES and (one.phase is Phase.ASKED or not one.declared)
        ]

    @property
    def told(self) -> list[Sighting]:
        """What is told and fails nothing."""
        failing = set(self.undeclared)
        return [one for one in sorted(self.seen) if one not in failing]


@contextmanager
def reaching(experiment: Experiment) -> Iterator[Reached]:
    """Watch the first estimator of an experiment closely while it is audited.

    Nothing is refused meanwhile: all of it is collected. Variables of its modules, and of their
    classes, are compared before and after: what one replay leaves there, the next can read.
    """
    use = next(iter(experiment.estimators.values())).use
    found = Reached()
    held = _modules(use)
    before = _variables(held)
    with watched(refuses=False, closely=True) as watch:
        yield found
    after = _variables(held)
    changed = [name for name, value in after.items() if before.get(name) != value]
    who = estimator_class(use).__name__
    kept = {
        Sighting(estimator=who, phase=Phase.ASKED, what="globals", name=name, by=""): 1
        for name in changed
    }
    found.seen = {**watch.seen, **kept}


def _modules(use: str) -> list[ModuleType]:
    """Return the modules that an estimator of one's own is made of; none for a built-in."""
    if ":" not in use:
        return []
    names = {file.removesuffix(".py").replace("/", ".") for file in own_sources(use)}
    names = {name.removesuffix(".__init__") for name in names} | {use.partition(":")[0]}
    return [sys.modules[name] for name in sorted(names) if name in sys.modules]


def _variables(modules: list[ModuleType]) -> dict[str, bytes]:
    """Return a digest of each variable of some modules and of the classes that they define."""
    found = {}
    for module in modules:
        for name, value in list(vars(module).items()):
            if isinstance(value, ModuleType) or (name[:2] == "__" == name[-2:]):
                continue
            if isinstance(value, type):
                if value.__module__ != module.__name__:
                    continue
                for inner, held in list(vars(value).items()):
                    if inner[:2] != "__" and not callable(held):
                        found[f"{module.__name__}.{name}.{inner}"] = _digest(held)
            else:
                found[f"{module.__name__}.{name}"] = _digest(value)
    return found


def _digest(value: Any) -> bytes:
    digest = blake2b(digest_size=16)
    for part in _parts(value, 0):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()


def _parts(value: Any, depth: int) -> Iterator[bytes]:
    """Yield what a value is made of, as bytes, as far as it can be told."""
    yield type(value).__qualname__.encode()
    if depth > _DEEPEST:
        return
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield str((value.dtype, value.shape)).encode()
        yield value.tobytes()
    elif isinstance(value, str | bytes | bytearray | int | float | complex | np.generic):
        yield repr(value).encode()
    elif isinstance(value, Mapping):
        for key, inner in list(value.items()):
            yield from _parts(key, depth + 1)
            yield from _parts(inner, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in list(value):
            yield from _parts(inner, depth + 1)
    elif isinstance(value, set | frozenset):
        yield from sorted(b"".join(_parts(inner, depth + 1)) for inner in value)
    elif callable(getattr(value, "cache_info", None)):  # what functools keeps of earlier calls
        yield str(value.cache_info().currsize).encode()
    elif not callable(value) and hasattr(value, "__dict__"):
        yield from _parts(vars(value), depth + 1)
