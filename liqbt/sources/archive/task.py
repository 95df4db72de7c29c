"""One file on its way: its checksum, what is here of it, what is lacking."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from liqbt.errors import DataError
from liqbt.log.disk import sha256_file
from liqbt.sources.archive.session import Limits, RetryError, Session

_CHECKSUM_BYTES: Final = 4096
_CHECKSUM: Final = re.compile(r"([0-9a-fA-F]{64})(?:[ \t]+\*?(\S+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What became of one file.

    Attributes
    ----------
    path : str
        Its place below the archive's address.
    state : str
        `fetched` now, `kept` from before, `missing` in the archive, or `failed`.
    file : Path or None
        Where it is now.
    sha256 : str
        Its digest, which is the archive's checksum.
    size : int
        Bytes that were received for it now.
    reason : str
        Why it failed; one sentence.
    """

    path: str
    state: str
    file: Path | None = None
    sha256: str = ""
    size: int = 0
    reason: str = ""


class Task:
    """One file on its way."""

    def __init__(self, base: str, path: str, place: Path, limits: Limits, session: Session) -> None:
        self._url = f"{base}/{quote(path)}"
        self._path, self._place, self._limits, self._session = path, place, limits, session
        self._part = place.with_name(place.name + ".part")
        self._about = place.with_name(place.name + ".part.json")
        self._sums = place.with_name(place.name + ".CHECKSUM")
        self._size = 0
        self._kept_checked = False

    def reached(self) -> int:
        """Return how many bytes of the file are here."""
        return self._part.stat().st_size if self._part.is_file() else 0

    def failed(self, reason: str) -> Fetched:
        """Return that it could not be had."""
        return Fetched(path=self._path, state="failed", size=self._size, reason=reason)

    def attempt(self) -> Fetched:
        """Try once, from the checksum on.

        Raises
        ------
        RetryError
            The attempt failed and may be repeated.
        DataError, OSError
            The server refuses it, or the file cannot be written.
        """
        kept = self._kept()
        if kept:
            return Fetched(path=self._path, state="kept", file=self._place, sha256=kept)
        text = self._small(self._url + ".CHECKSUM")
        if text is None:
            return Fetched(path=self._path, state="missing")
        wanted = _parse_checksum(text, self._place.name)
        self._place.parent.mkdir(parents=True, exist_ok=True)
        if self._place.is_file() and sha256_file(self._place) == wanted:
            self._believe(wanted)
            return Fetched(path=self._path, state="kept", file=self._place, sha256=wanted)
        found = sha256_file(self._part) if self.reached() else ""
        if found != wanted:
            if not self._receive(wanted):
                return Fetched(path=self._path, state="missing", size=self._size)
            found = sha256_file(self._part)
        if found != wanted:
            self._forget()
            raise RetryError(f"its SHA-256 is {found[:12]}..., the checksum says {wanted[:12]}...")
        self._part.replace(self._place)
        self._believe(wanted)
        self._forget()
        size = self._size
        return Fetched(path=self._path, state="fetched", file=self._place, sha256=wanted, size=size)

    def _kept(self) -> str:
        """Return the digest of the file where it is here whole, with its checksum; once."""
        if self._kept_checked or not (self._place.is_file() and self._sums.is_file()):
            return ""
        self._kept_checked = True
        try:
            wanted = _parse_checksum(self._sums.read_bytes()[:_CHECKSUM_BYTES], self._place.name)
        except RetryError:
            return ""
        return wanted if sha256_file(self._place) == wanted else ""

    def _believe(self, wanted: str) -> None:
        temporary = self._sums.with_name(self._sums.name + ".tmp")
        temporary.write_text(f"{wanted}  {self._place.name}\n", encoding="ascii")
        temporary.replace(self._sums)

    def _forget(self) -> None:
        for path in (self._part, self._about):
            path.unlink(missing_ok=True)

    def _small(self, url: str) -> bytes | None:
        response = self._session.get(url, {})
        missing = response.status != 200
        data = b"".join(self._session.body(response, _CHECKSUM_BYTES if not missing else 1 << 20))
        if missing and response.status == 404:
            return None
        if missing:
            raise DataError(f"{url} answers {response.status}")
        return data

    def _receive(self, wanted: str) -> bool:
        """Receive what is lacking of the file; return whether the archive has it."""
        headers = self._resume_headers(wanted)
        start = self.reached() if headers else 0
        response = self._session.get(self._url, headers)
        if response.status in (404, 410):
            self._session.close()
            return False
        if response.status == 416:
            self._session.close()
            self._forget()
            raise RetryError("the server has no such part of the file")
        if response.status == 206 and not _begins_at(response.headers.get("Content-Range"), start):
            self._session.close()
            self._forget()
            raise RetryError("the server sent another part of the file than was asked for")
        if response.status == 200:
            start = 0
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        about = {"sha256": wanted, "validator": validator[:500]}
        self._about.write_text(json.dumps(about), encoding="utf-8")
        with self._part.open("r+b" if start else "wb") as part:
            part.seek(start)
            part.truncate()
            try:
                for piece in self._session.body(response, self._limits.max_bytes - start):
                    part.write(piece)
                    self._size += len(piece)
            except DataError:  # it is larger than a file may be
                self._forget()
                raise
        return True

    def _resume_headers(self, wanted: str) -> dict[str, str]:
        """Return the headers that ask for the rest of the file, none where it begins anew."""
        have = self.reached()
        about: object = None
        with contextlib.suppress(OSError, ValueError):
            about = json.loads(self._about.read_text(encoding="utf-8"))
        if not have or not isinstance(about, dict) or about.get("sha256") != wanted:
            self._forget()
            return {}
        validator = str(about.get("validator", ""))
        headers = {"Range": f"bytes={have}-"}
        if validator and validator.isprintable() and not validator.startswith("W/"):
            headers["If-Range"] = validator
        return headers


def _parse_checksum(text: bytes, name: str) -> str:
    match = _CHECKSUM.fullmatch(text.decode("utf-8", "replace").strip())
    if match is None:
        raise RetryError("its .CHECKSUM holds no SHA-256")
    if match[2] is not None and match[2] != name:
        raise RetryError(f"its .CHECKSUM is of another file, {match[2][:80]!r}")
    return match[1].lower()


def _begins_at(content_range: str | None, start: int) -> bool:
    match = re.match(r"bytes (\d{1,19})-", content_range or "")
    return match is not None and int(match[1]) == start
