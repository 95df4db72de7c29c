"""A log in an object store: `s3://bucket/log`, under the names that it has in a folder.

Nobody holds a lock there. Of two writers the one whose commit is put first has written it, since a
commit is put only where none of its number is; the other is told so, and nothing of its is lost.
Nothing is ever deleted or put over, but the name of the newest commit, which only moves on.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EIO
from functools import cache
from pathlib import Path, PosixPath
from typing import Any, Final

from liqbt.errors import LogError, first_line
from liqbt.kernel_cache import cache_folder

SCHEME: Final = "s3:"
_KEPT: Final = frozenset({"commits", "segments"})
"""Folders of a log whose files never change: they are fetched once."""
_ABSENT: Final = ("404", "NoSuchKey", "NoSuchBucket", "NotFound")
_LOST: Final = ("412", "PreconditionFailed")
_BUSY: Final = ("409", "ConditionalRequestConflict")
_ASKED: Final = 5


def place_of(path: Path | str, base: Path | None = None) -> Path:
    """Return the place of a log: a folder, below `base` where it is relative, or an address.

    Parameters
    ----------
    path : Path or str
        A folder, or `s3://bucket/log`, which a `Path` writes as `s3:/bucket/log`.
    base : Path, optional
        What a relative folder is relative to.

    Raises
    ------
    LogError
        The address names no folder of a bucket.

    Examples
    --------
    >>> str(place_of("s3://bucket/desk/log")), str(place_of(Path("s3://bucket/log")))
    ('s3://bucket/desk/log', 's3://bucket/log')
    >>> str(place_of("mylog", Path("study")))
    'study/mylog'
    """
    if isinstance(path, ObjectPath):
        return path
    text = str(path)
    if re.match(r"[a-z][a-z0-9+.-]+:/", text) is None:
        return Path(path) if base is None else base / path
    parts = [part for part in text.split("/") if part]
    if parts[0] != SCHEME or len(parts) < 3:
        raise LogError(f"{text} is no place of a log: a folder or s3://BUCKET/FOLDER is expected")
    return ObjectPath(*parts)


def as_it_is(path: Path) -> Path:
    """Return the same place, for which no copy on this machine is read."""
    remembers = isinstance(path, ObjectPath) and not isinstance(path, _Anew)
    return _Anew(*path.parts) if remembers else path


class ObjectPath(PosixPath):
    """A path in an object store, with the few operations that a log needs.

    Every other operation of a path ends in one sentence: the place is no folder of this machine.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return f"s3://{text[4:]}" if text.startswith("s3:/") else text

    def __fspath__(self) -> str:
        """Refuse to be taken for a file of this machine."""
        raise LogError(f"{self} is an address, and what was asked for needs a folder")

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.parts[1]

    @property
    def key(self) -> str:
        """The name in the bucket."""
        return "/".join(self.parts[2:])

    def read_bytes(self) -> bytes:
        """Return what is there; commits and segments are fetched once and kept on this machine."""
        if self.parent.name not in _KEPT:
            return self._fetched()[0]
        data = self._held()
        if data is None:
            data = self._fetched()[0]
            self._keep(data)
        return data

    def exists(self, **_: Any) -> bool:
        """Return whether an object has this name."""
        with suppress(FileNotFoundError), _said(self) as s3:
            s3.head_object(Bucket=self.bucket, Key=self.key)
            return True
        return False

    def is_file(self, **_: Any) -> bool:
        """Return whether an object has this name; what a listing gave is not asked for again."""
        listed = getattr(self, "_is_object", None)
        return self.exists() if listed is None else bool(listed)

    def is_dir(self, **_: Any) -> bool:
        """Return whether objects lie below."""
        return next(self.iterdir(), None) is not None

    def iterdir(self) -> Generator[ObjectPath, None, None]:
        """Yield what lies directly below."""
        yield from self.after("")

    def after(self, name: str) -> Iterator[ObjectPath]:
        """Yield what lies directly below, of names that come after `name`."""
        below = f"{self.key}/"
        asked = {"Bucket": self.bucket, "Prefix": below, "Delimiter": "/"}
        if name:
            asked["StartAfter"] = below + name
        with _said(self) as s3:
            pages = list(s3.get_paginator("list_objects_v2").paginate(**asked))
        for page in pages:
            names = [(entry["Key"], True) for entry in page.get("Contents", ())]
            names += [(entry["Prefix"], False) for entry in page.get("CommonPrefixes", ())]
            for key, is_object in names:
                if key == below:  # consoles make an object of a folder's name
                    continue
                child = self / key.removeprefix(below).rstrip("/")
                child._is_object = is_object
                yield child

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Do nothing: an object store has no folders."""

    def unlink(self, *_: Any, **__: Any) -> None:
        """Do nothing: what no commit names may be what another writer is about to commit."""

    def create(self, data: bytes | memoryview) -> None:
        """Put `data` where nothing is.

        Raises
        ------
        FileExistsError
            Something else is there.
        """
        data = bytes(data)
        try:
            self._put(data, IfNoneMatch="*")
        except FileExistsError:  # or is it ours, put by an attempt whose answer was lost?
            if self._fetched()[0] != data:
                raise
        if self.parent.name in _KEPT:
            self._keep(data)

    def put(self, data: bytes | memoryview) -> None:
        """Put `data`, whatever is there."""
        with _said(self) as s3:
            s3.put_object(Bucket=self.bucket, Key=self.key, Body=bytes(data))

    def exchange(self, data: bytes, unless: Callable[[bytes], bool]) -> None:
        """Put `data` in the place of what is there, unless that stays; nothing comes in between."""
        for _ in range(_ASKED):
            held, tag = self._fetched()
            if unless(held):
                return
            with suppress(FileExistsError):
                self._put(data, IfMatch=tag)
                return
        raise LogError(f"{self} is being written to by others: repeat the command")

    def _put(self, data: bytes, **condition: str) -> None:
        with _said(self) as s3:
            s3.put_object(Bucket=self.bucket, Key=self.key, Body=data, **condition)

    def _fetched(self) -> tuple[bytes, str]:
        with _said(self) as s3:
            answer = s3.get_object(Bucket=self.bucket, Key=self.key)
            return answer["Body"].read(), answer["ETag"]

    @property
    def _copy(self) -> Path:
        where = f"{os.environ.get('AWS_ENDPOINT_URL', '')} {self}"
        return cache_folder() / "objects" / hashlib.sha256(where.encode()).hexdigest()[:40]

    def _held(self) -> bytes | None:
        """Return the copy on this machine; None where there is none, or it is damaged."""
        with suppress(OSError):
            data = self._copy.read_bytes()
            if data[:64].decode(errors="replace") == hashlib.sha256(data[64:]).hexdigest():
                return data[64:]
        return None

    def _keep(self, data: bytes) -> None:
        with suppress(OSError):  # a full disk here is no reason not to read
            self._copy.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._copy.parent, delete=False) as file:
                try:
                    file.write(hashlib.sha256(data).hexdigest().encode() + data)
                    file.flush()
                    Path(file.name).replace(self._copy)
                except BaseException:
                    Path(file.name).unlink()
                    raise


class _Anew(ObjectPath):
    """The same path, for which no copy is read."""

    def _held(self) -> None:
        return None


@contextmanager
def _said(path: ObjectPath) -> Iterator[Any]:
    """Give the store's client, and say what goes wrong as errors of files.

    Raises
    ------
    FileNotFoundError, FileExistsError, PermissionError, OSError
        With a sentence for a reason.
    """
    try:
        from botocore import exceptions
    except ImportError:
        raise LogError(
            "a log in an object store needs the extra `storage`: pip install 'liqbt[storage]'"
        ) from None
    try:
        yield _client(os.getpid(), *_settings())
    except exceptions.ClientError as error:
        code, said = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code in _ABSENT:
            missing = "there is no such bucket" if code == "NoSuchBucket" else "nothing is there"
            raise FileNotFoundError(EIO, missing, path.name) from None
        if code in (*_LOST, *_BUSY):
            raise FileExistsError(EIO, "something is there already", path.name) from None
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (401, 403):
            raise PermissionError(EACCES, _refused(path, f"{code}: {said}"), path.name) from None
        raise OSError(EIO, f"the store says {code}: {said}", path.name) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise PermissionError(EACCES, _refused(path, str(error)), path.name) from None
    except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
        raise OSError(EIO, first_line(error), path.name) from None


def _refused(path: ObjectPath, why: str) -> str:
    return (
        f"the store of bucket {path.bucket!r} takes no credentials from here ({why}): set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and AWS_ENDPOINT_URL where "
        "it is not Amazon's"
    )


def _settings() -> list[tuple[str, str]]:
    return sorted(pair for pair in os.environ.items() if pair[0].startswith("AWS_"))


@cache
def _client(_process: int, *_settings: tuple[str, str]) -> Any:
    """Return a client of S3; a forked process does not share its parent's connections."""
    from botocore.config import Config
    from botocore.session import get_session

    session = get_session()
    own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return session.create_client(
        "s3",
        region_name=session.get_config_variable("region") or "us-east-1",
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": _ASKED},
            s3={"addressing_style": "path" if own else "auto"},
            request_checksum_calculation="when_required",  # digests are our own
            response_checksum_validation="when_required",
        ),
    )
