"""Where the embedded servers live and what stays the same from one start to the next: ports, passwords, Django's secret."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent.parent
DATABASES = ("portal", "sigma_permit", "sigma_iam")


class EmbeddedError(RuntimeError):
    """An embedded server cannot be found or does not start; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """What has to stay the same from one start to the next."""

    postgres_port: int
    redis_port: int
    password: str
    redis_password: str
    secret_key: str


def home() -> Path:
    """The directory that holds the embedded servers' data."""
    return Path(os.environ.get("PORTAL_HOME", PROJECT / ".portal"))


def settings() -> Settings:
    """Read the saved ports and secrets, or choose and save them on first use."""
    path = home() / "embedded.json"
    with contextlib.suppress(FileNotFoundError):
        return Settings(**json.loads(path.read_text()))
    # Readable to the server's own user too (see `_place`); the secrets file is not.
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = Settings(
        postgres_port=_free_port(),
        redis_port=_free_port(),
        password=secrets.token_urlsafe(24),
        redis_password=secrets.token_urlsafe(24),
        secret_key=secrets.token_urlsafe(50),
    )
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(chosen), file)
    try:
        os.link(draft, path)  # the first of several processes wins, the others read its choice
    except FileExistsError:
        return settings()
    finally:
        draft.unlink()
    return chosen


def database_url(name: str) -> str:
    """The URL of an embedded database; `name` is one of `DATABASES`."""
    ours = settings()
    return f"postgres://portal:{ours.password}@127.0.0.1:{ours.postgres_port}/{name}"


def user_url(name: str) -> str:
    """The same, for the role that only uses the database: `migrate` creates it."""
    ours = settings()
    password = hashlib.sha256(f"portal_user:{ours.password}".encode()).hexdigest()
    return f"postgres://portal_user:{password}@127.0.0.1:{ours.postgres_port}/{name}"


def redis_url() -> str:
    ours = settings()
    return f"redis://:{ours.redis_password}@127.0.0.1:{ours.redis_port}/0"


def _free_port() -> int:
    """A port that nobody listens on, below the range from which systems take ports for outgoing connections."""
    for _ in range(200):
        port = 15000 + secrets.randbelow(17000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmbeddedError("No free port found between 15000 and 32000.")


def another_port(name: str) -> Settings:
    """Somebody else listens on our saved port by now: choose and save another. Called under the lock of `start`."""
    moved: dict[str, Any] = {name: _free_port()}
    chosen = replace(settings(), **moved)
    path = home() / "embedded.json"
    draft = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(chosen), file)
    draft.replace(path)
    return chosen
