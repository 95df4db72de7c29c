"""What a run is identified by: configuration, tapes, package sources, lock file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from liqbt.log import sha256_file

__all__ = ["canonical_json", "code_digest", "lock_digest", "run_identity", "sha256_file"]

_PACKAGE = Path(__file__).resolve().parent.parent


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def code_digest() -> str:
    """Return a digest of everything in the package that can change a result: sources and data."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        if path.is_file() and path.suffix in {".py", ".j2", ".css", ".csv"}:
            digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def lock_digest() -> str:
    """Return a digest of the dependencies: names and versions as installed, and the lock file.

    An installed package has no lock file; a checkout's environment may have drifted from its own.
    """
    required = (text for text in metadata.requires("liqbt") or [] if "extra ==" not in text)
    names = sorted(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in required)
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}=={metadata.version(name)}\n".encode())
    lock = _PACKAGE.parent / "requirements.lock"
    if lock.is_file():
        digest.update(lock.read_bytes())
    return digest.hexdigest()


def run_identity(hashes: Mapping[str, Any]) -> str:
    """Return the run id of a set of hashes: 16 hex digits.

    Examples
    --------
    >>> run_identity({"code": "b", "config": "a"}) == run_identity({"config": "a", "code": "b"})
    True
    """
    return hashlib.sha256(canonical_json(hashes).encode()).hexdigest()[:16]
