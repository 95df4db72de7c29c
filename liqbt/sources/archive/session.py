"""HTTP as an archive needs it: one connection a worker, http and https only, redirects watched."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from liqbt.errors import ConfigError, DataError, reason_of

_REDIRECTS: Final = 5
_CHUNK: Final = 1 << 16
_PORTS: Final = {"http": 80, "https": 443}
_NO_ANSWER: Final = (OSError, http.client.HTTPException, ValueError)
_AGAIN: Final = {408, 418, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patient a client is.

    Attributes
    ----------
    timeout_s : float
        How long a server may say nothing.
    attempts : int
        How often a file is tried without getting further.
    backoff_s : float
        The wait after the first failure; doubled after each further one, times a random 0.5 to 1.
    longest_wait_s : float
        No wait is longer; a server that asks for more is given up.
    max_bytes : int
        The most that a file may have.
    min_rate : float
        Bytes a second; a body that comes slower over `timeout_s` is dropped and tried again.
    """

    timeout_s: float = 30.0
    attempts: int = 6
    backoff_s: float = 0.5
    longest_wait_s: float = 300.0
    max_bytes: int = 2 << 30
    min_rate: float = 1024.0


class RetryError(Exception):
    """An attempt failed and may be repeated; `after_s` is what the server asked to wait."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


def check_base(base: str) -> str:
    """Return an archive's address without a slash at its end.

    Raises
    ------
    ConfigError
        It is not a plain http or https address.

    Examples
    --------
    >>> check_base("https://archive.example/")
    'https://archive.example'
    """
    try:
        parts = urlsplit(base)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{base!r} is no address") from None
    if parts.scheme not in _PORTS or not host or not base.isascii() or not base.isprintable():
        raise ConfigError(f"{base!r}: an archive's address begins with https:// or http://")
    if parts.username or parts.password or parts.query or parts.fragment or " " in base:
        raise ConfigError(f"{base!r}: an archive's address is a host and perhaps a path")
    return base.rstrip("/")


class Session:
    """One connection, kept open between requests; used by one thread, aborted by any."""

    __slots__ = ("_connection", "_limits", "_place")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._connection: http.client.HTTPConnection | None = None
        self._place: tuple[str, str, int] | None = None

    def get(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Return the answer to a GET, redirects followed; its body is yet to be read.

        Raises
        ------
        RetryError
            No answer, or one that says to come back later.
        DataError
            It leads elsewhere than to http or https, or round in circles, or is a refusal.
        """
        for _ in range(_REDIRECTS + 1):
            response = self._ask(url, headers)
            if response.status not in (301, 302, 303, 307, 308):
                return self._judged(response, url)
            self.close()
            url = _redirected(url, response.headers.get("Location", ""))
        raise DataError(f"{url} leads round in circles")

    def body(self, response: http.client.HTTPResponse, max_bytes: int) -> Iterator[bytes]:
        """Yield the body in pieces, at most `max_bytes` of it.

        Raises
        ------
        RetryError
            It ends early, stalls, or comes too slowly.
        DataError
            It is larger than it may be.
        """
        expected, got = response.length, 0
        if expected is not None and expected > max_bytes:
            self.close()
            raise DataError(f"a body of {expected} bytes; at most {max_bytes} are taken")
        since, seen = time.monotonic(), 0
        try:
            while piece := response.read1(_CHUNK):
                got += len(piece)
                if got > max_bytes:
                    raise DataError(f"a body of more than {max_bytes} bytes")
                yield piece
                elapsed = time.monotonic() - since
                if elapsed > self._limits.timeout_s:
                    if (got - seen) / elapsed < self._limits.min_rate:
                        raise RetryError(f"slower than {self._limits.min_rate:g} bytes a second")
                    since, seen = time.monotonic(), got
        except (OSError, http.client.HTTPException) as error:
            raise RetryError(f"the body broke off after {got} bytes ({reason_of(error)})") from None
        finally:
            if not response.isclosed():
                self.close()
        if expected is not None and got < expected:
            self.close()
            raise RetryError(f"the body ended after {got} of {expected} bytes")

    def abort(self) -> None:
        """Break off whatever another thread is reading from this connection."""
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._place = None, None

    def _ask(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        connection, reused = self._connected(parts)
        try:
            return _sent(connection, parts, url, headers)
        except _NO_ANSWER as error:
            self.close()
            if not reused:
                raise RetryError(reason_of(error)) from None
        connection, _ = self._connected(parts)  # a kept one may have been closed at the other end
        try:
            return _sent(connection, parts, url, headers)
        except _NO_ANSWER as error:
            self.close()
            raise RetryError(reason_of(error)) from None

    def _connected(self, parts: SplitResult) -> tuple[http.client.HTTPConnection, bool]:
        """Return the connection that `parts` needs, and whether it was open already."""
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        if self._connection is not None and self._place == (parts.scheme, host, port):
            return self._connection, True
        self.close()
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        proxy = _proxy(parts)
        if proxy is not None:
            connection = kind(str(proxy.hostname), proxy.port, timeout=self._limits.timeout_s)
            if parts.scheme == "https":
                connection.set_tunnel(host, port)
        else:
            connection = kind(host, port, timeout=self._limits.timeout_s)
        self._connection, self._place = connection, (parts.scheme, host, port)
        return connection, False

    def _judged(self, response: http.client.HTTPResponse, url: str) -> http.client.HTTPResponse:
        if response.status in (200, 206, 404, 410, 416):
            return response
        after = _retry_after(response.headers.get("Retry-After"))
        said = f"{response.status} {response.reason}"[:80]
        self.close()
        if response.status in _AGAIN:
            raise RetryError(said, after)
        raise DataError(f"{url} answers {said}")


def _sent(
    connection: http.client.HTTPConnection,
    parts: SplitResult,
    url: str,
    headers: Mapping[str, str],
) -> http.client.HTTPResponse:
    """Return the answer to a GET; a plain proxy is asked for the whole address."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = url if parts.scheme == "http" and _proxy(parts) else path
    sent = {"User-Agent": "liqbt", "Accept-Encoding": "identity", **headers}
    connection.request("GET", target, headers=sent)
    return connection.getresponse()


def _redirected(url: str, location: str) -> str:
    """Return where a redirect leads: to http or https, and never away from https."""
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        known = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    plain = known and target.isascii() and target.isprintable() and " " not in target
    if not plain or (url.startswith("https:") and parts.scheme == "http"):
        raise DataError(f"{url} leads to {location[:200]!r}, which is not followed")
    return target


def _proxy(parts: SplitResult) -> SplitResult | None:
    """Return the proxy that the environment names for an address; never one for this machine."""
    host = str(parts.hostname)
    if host == "localhost" or host.startswith("127.") or host == "::1" or proxy_bypass(host):
        return None
    named = getproxies().get(parts.scheme)
    return urlsplit(named if "//" in named else f"http://{named}") if named else None


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a server asks to wait, from a count or a date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, when.timestamp() - time.time())
