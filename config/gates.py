"""The gates of `make check` that need Django: no missing migration, and clean deployment checks under production settings."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

PRODUCTION = {
    "DEBUG": "false",
    "HTTPS": "true",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "portal.example.org",
    "DATABASE_URL": "postgres://portal_user@127.0.0.1:1/portal",
    "DATABASE_OWNER_URL": "postgres://portal@127.0.0.1:1/portal",
    "LEGACY_DATABASE_URL": "postgres://portal@127.0.0.1:1/legacy",
    "IAM_DATABASE_URL": "postgres://portal@127.0.0.1:1/iam",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def main() -> int:
    """Returns the number of gates that failed."""
    failed = 0
    for arguments in (["check", "--deploy", "--fail-level", "WARNING"], ["makemigrations", "--check", "--dry-run"]):
        command = [sys.executable, "-W", "ignore:Got an error:RuntimeWarning", "manage.py", *arguments]
        failed += bool(subprocess.run(command, env=os.environ | PRODUCTION, check=False).returncode)
    return failed


if __name__ == "__main__":
    sys.exit(main())
