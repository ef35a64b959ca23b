"""Where backups are kept: a directory or s3://bucket/prefix. What is put there is hashed, and sealed where a key is set.

Sealing is age's format (https://age-encryption.org/v1), streamed: any age tool with the identity of BACKUP_KEY opens it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import pyrage
from botocore.exceptions import BotoCoreError
from django.conf import settings

from migration_portal.refusal import Refusal

MANIFEST = "manifest.jws"
_BLOCK = 1 << 20


class Unreadable(Exception):
    """A stored file is missing, cut short, or cannot be opened with our keys."""


@dataclass(frozen=True)
class Stored:
    """A file of a backup, as it lies in the store: `sha256` and `bytes` are of what is there, sealed or not."""

    name: str
    bytes: int
    sha256: str
    sealed: bool


class _Hashed:
    """A file that hashes and counts what goes through it."""

    def __init__(self, file: Any, told: Callable[[int], None] = lambda size: None) -> None:
        self.file, self.hash, self.size, self.told = file, hashlib.sha256(), 0, told

    def write(self, data: bytes) -> int:
        self.file.write(data)
        self._count(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        data = bytes(self.file.read(size))
        self._count(data)
        return data

    def flush(self) -> None:
        pass

    def _count(self, data: bytes) -> None:
        self.hash.update(data)
        self.size += len(data)
        self.told(len(data))


def put(place: str, name: str, file: IO[bytes], told: Callable[[int], None] = lambda size: None) -> Stored:
    """Store what the file holds; `told` gets the bytes as they are read. Raises Refusal when the store refuses."""
    recipient = _recipient()
    with _answering(), _opened(place, name, "wb") as target:
        sink, source = _Hashed(target), _Hashed(file, told)
        if recipient is None:
            while block := source.read(_BLOCK):
                sink.write(block)
        else:
            pyrage.encrypt_io(source, sink, [recipient])
    return Stored(name, sink.size, sink.hash.hexdigest(), recipient is not None)


def put_manifest(place: str, text: str) -> None:
    """The last file of a backup: without it there is none. Raises Refusal."""
    with _answering():
        system, path = _at(place, MANIFEST)
        system.pipe_file(path, text.encode())


def manifest(place: str) -> bytes:
    """Raises Unreadable, and Refusal when the store does not answer."""
    with _answering():
        system, path = _at(place, MANIFEST)
        try:
            return bytes(system.cat_file(path))
        except FileNotFoundError as error:
            raise Unreadable(f"{MANIFEST} is missing") from error


def size(place: str, name: str) -> int | None:
    """In bytes, None when it is not there. Raises Refusal."""
    with _answering():
        system, path = _at(place, name)
        system.invalidate_cache()
        return int(system.size(path)) if system.exists(path) else None


def sha256(place: str, name: str, told: Callable[[int], None] = lambda size: None) -> str:
    """Of what lies there. Raises Refusal."""
    with _answering(), _opened(place, name, "rb") as file:
        source = _Hashed(file, told)
        while source.read(_BLOCK):
            pass
    return source.hash.hexdigest()


def get(place: str, stored: Stored, target: IO[bytes], told: Callable[[int], None] = lambda size: None) -> None:
    """Write what was put there to `target`. Raises Unreadable, and Refusal when the store does not answer."""
    with _answering():
        try:
            with _opened(place, stored.name, "rb") as file:
                source = _Hashed(file, told)
                if not stored.sealed:
                    while block := source.read(_BLOCK):
                        target.write(block)
                    return
                pyrage.decrypt_io(source, target, _identities())
        except FileNotFoundError as error:
            raise Unreadable(f"{stored.name} is missing") from error
        except (pyrage.DecryptError, ValueError) as error:
            raise Unreadable(f"{stored.name} does not open with our keys ({error})") from error


def remove(place: str) -> None:
    """Everything of a backup. Raises Refusal."""
    with _answering():
        system, path = _at(place)
        system.invalidate_cache()
        if system.exists(path):
            # The manifest first: what is left without it counts as nothing.
            if system.exists(f"{path}/{MANIFEST}"):
                system.rm(f"{path}/{MANIFEST}")
            system.rm(path, recursive=True)


def places() -> list[str]:
    """Every backup that has a manifest. Raises Refusal."""
    with _answering():
        system, root = _root()
        system.invalidate_cache()
        if not system.exists(root):
            return []
        found = (path.rstrip("/").rpartition("/")[2] for path in system.ls(root, detail=False))
        return sorted(name for name in found if system.exists(f"{root}/{name}/{MANIFEST}"))


def sealing() -> bool:
    """Whether what is stored now is sealed."""
    return _recipient() is not None


def _recipient() -> Any:
    return _identity(settings.BACKUP_KEY).to_public() if settings.BACKUP_KEY else None


def _identities() -> list[Any]:
    return [_identity(key) for key in (settings.BACKUP_KEY, *settings.BACKUP_OLD_KEYS) if key]


def _identity(key: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(key)
    except pyrage.IdentityError:
        raise Refusal(
            "It is no age identity.",
            subject="BACKUP_KEY",
            todo="Make one with age-keygen: it begins with AGE-SECRET-KEY-1.",
        ) from None


def _root() -> tuple[Any, str]:
    system, path = fsspec.core.url_to_fs(settings.BACKUP_STORE, **settings.BACKUP_STORE_OPTIONS)
    return system, path.rstrip("/")


def _at(place: str, name: str = "") -> tuple[Any, str]:
    system, root = _root()
    return system, f"{root}/{place}/{name}".rstrip("/")


@contextmanager
def _opened(place: str, name: str, mode: str) -> Iterator[Any]:
    system, path = _at(place, name)
    if "w" in mode:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
    with system.open(path, mode) as file:
        yield file


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, BotoCoreError) as error:
        raise Refusal(
            "The store of the backups does not do what it is asked.", subject=settings.BACKUP_STORE,
            todo=f"It says: {error}.",
        ) from error  # fmt: skip
