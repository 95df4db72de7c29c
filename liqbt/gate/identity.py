"""In what two runs differ before any score is looked at: tape, configuration, code, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from liqbt.config.schema import with_defaults
from liqbt.errors import DataError, first_line
from liqbt.study.schema import Experiment
from liqbt.study.store import Run, load_run
from liqbt.study.written import require_as_written

_READ: Final = ("days.parquet", "forecasts.parquet")
_NAMES: Final = ("name", "description")


class Absent(StrEnum):
    """What is written where one of two runs has no value: null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a run was made of.

    Attributes
    ----------
    config : mapping of str to object
        Keys joined by dots; without what names a run or says where its data lie.
    tape, estimators, versions : mapping of str to str
        Digests by symbol and by estimator file, and versions by package.
    code, lock : str
        Digests of the package and of what it depends on.
    """

    config: Mapping[str, Any]
    tape: Mapping[str, str]
    estimators: Mapping[str, str]
    versions: Mapping[str, str]
    code: str
    lock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDifference:
    """One thing in which two runs differ.

    Attributes
    ----------
    what : str
        `config`, `tape`, `code`, `estimators`, `lock` or `versions`.
    name : str
        Which key, symbol, file or package; empty for `code` and `lock`.
    base, new : object
        The two values; `ABSENT` where there is none.
    """

    what: str
    name: str
    base: Any
    new: Any

    @property
    def comparable(self) -> bool:
        """Whether scores may still be held against each other without sampling noise.

        They may if only code, estimators or versions differ: that is what a gate is for. A
        configuration key that one of the two does not have is a change of code.
        """
        if self.what == "config":
            return self.base is ABSENT or self.new is ABSENT
        return self.what != "tape"

    @property
    def sentence(self) -> str:
        """The difference in words."""
        if self.what in ("code", "lock"):
            return {"code": "the package's code", "lock": "the dependencies"}[self.what]
        values = [
            f"{v:.12}" if self.what in ("tape", "estimators") or v is ABSENT else f"{v!r:.60}"
            for v in (self.base, self.new)
        ]
        words = {"tape": "the tape of", "estimators": "the file of", "versions": "the version of"}
        return f"{words.get(self.what, 'the key')} {self.name} ({values[0]} -> {values[1]})"


def open_run(path: Path) -> Run:
    """Read a run's folder whose figures are as they were written.

    Raises
    ------
    DataError
        If it is none, is damaged, or a file that scores are read from was altered.
    """
    try:
        run = load_run(path)
        for name in _READ:
            require_as_written(path, run.manifest, name)
        identity_of(run)
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise DataError(f"{path}: not the folder of a whole run ({first_line(error)})") from error
    return run


def identity_of(run: Run) -> Identity:
    """Return what a run was made of."""
    hashes = run.manifest["hashes"]
    return Identity(
        config=flat_config(run.config),
        tape=dict(hashes["tape"]),
        estimators=dict(hashes.get("estimators", {})),
        versions=dict(run.manifest["versions"]),
        code=str(hashes["code"]),
        lock=str(hashes["lock"]),
    )


def flat_config(config: Mapping[str, Any], model: type[Experiment] = Experiment) -> dict[str, Any]:
    """Return a configuration's keys, joined by dots, without names and places.

    Where the data lie does not matter: the tape's digest says what they are. A key that the
    configuration does not have yet has its default.

    Examples
    --------
    >>> flat = flat_config({"name": "x", "data": {"seed": 1}, "schedule": {"every": "2h"}})
    >>> flat["schedule.every"], flat["schedule.warm_up"]
    ('2h', '14d')
    """
    found: dict[str, Any] = {}

    def walk(value: Any, where: str) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                walk(inner, f"{where}.{key}" if where else str(key))
        else:
            found[where] = value

    whole = with_defaults(config, model)
    for market in whole.get("symbols", {}).values():
        if not market.get("estimators"):  # it has none of its own
            market.pop("estimators", None)
    walk({k: v for k, v in whole.items() if k not in (*_NAMES, "data")}, "")
    return found


def identity_differences(base: Identity, new: Identity) -> list[IdentityDifference]:
    """Return everything in which two runs differ, what forbids a comparison first."""
    found = []
    for what in ("tape", "config", "estimators", "versions"):
        one, other = getattr(base, what), getattr(new, what)
        for name in sorted({*one, *other}):
            values = [_value(side, name) for side in (one, other)]
            if values[0] != values[1]:
                found.append(
                    IdentityDifference(what=what, name=name, base=values[0], new=values[1])
                )
    for what in ("code", "lock"):
        one, other = getattr(base, what), getattr(new, what)
        if one != other:
            found.append(IdentityDifference(what=what, name="", base=one, new=other))
    return sorted(found, key=lambda difference: difference.comparable)


def _value(side: Mapping[str, Any], name: str) -> Any:
    """Return a key's value: null below a key that is null, `ABSENT` where nothing states one."""
    whole = name.split(".")
    above = [".".join(whole[:n]) for n in range(len(whole) - 1, 0, -1)]
    null = None if any(side.get(way, ABSENT) is None for way in above) else ABSENT
    return side.get(name, side.get(_shared(name), null))


def _shared(name: str) -> str:
    """Return which key of the experiment holds where a market states none of its own."""
    own, _, key = name.partition(".estimators.")
    return f"estimators.{key}" if own.startswith("symbols.") else name
