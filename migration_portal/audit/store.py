"""Where the audit log keeps what the database's owner must not reach: AUDIT_ANCHORS, a directory or s3://bucket/prefix."""

from __future__ import annotations

import contextlib
import os
import shutil
from io import BufferedReader, UnsupportedOperation
from typing import IO, Any, cast

import fsspec
from botocore.exceptions import BotoCoreError
from django.conf import settings

AWAY = (OSError, BotoCoreError)
"""What stores raise when they do not answer."""
_AT_ONCE = 1024 * 1024


def names(folder: str = "") -> list[str]:
    """Of the files in the folder, sorted."""
    system, place = _store()
    system.invalidate_cache()
    where = f"{place}/{folder}".rstrip("/")
    if not system.exists(where):
        return []
    return sorted(path.rpartition("/")[2] for path in system.ls(where, detail=False))


def content(name: str) -> bytes:
    system, place = _store()
    return bytes(system.cat_file(f"{place}/{name}"))


def opened(name: str) -> BufferedReader:
    """To be read, and closed."""
    system, place = _store()
    return cast(BufferedReader, system.open(f"{place}/{name}", "rb"))


def write(name: str, file: IO[bytes]) -> None:
    """The whole file. Under another name until it is whole: half an anchor would count as made up."""
    file.seek(0)
    system, place = _store()
    path = f"{place}/{name}"
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    with system.open(f"{path}.part", "wb") as part:
        shutil.copyfileobj(file, part, _AT_ONCE)
        with contextlib.suppress(AttributeError, UnsupportedOperation):  # of what is no file on a disk
            part.flush()
            os.fsync(part.fileno())
    system.mv(f"{path}.part", path)


def _store() -> tuple[Any, str]:
    system, place = fsspec.core.url_to_fs(settings.AUDIT_ANCHORS, **settings.AUDIT_ANCHORS_OPTIONS)
    return system, place.rstrip("/")
