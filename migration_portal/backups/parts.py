"""The parts of a backup beside the database: directories as tar files, and the settings, whose secrets are sealed or left out."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.views.debug import SafeExceptionReporterFilter

from migration_portal import databases
from migration_portal.backups import store
from migration_portal.refusal import Refusal

_PLAIN = (str, int, float, bool, list, dict, tuple, type(None))
_OURS = ("UNFOLD", "LOGGING", "TEMPLATES", "CONTENT_SECURITY_POLICY")
"""What is the same in every installation of a version."""
_HIDDEN = ("ALERT_PLACES", "CHECKPOINT_USER")
"""Secrets whose names do not say so: webhooks let in whoever knows their address."""


def tar_paths(side: str, directory: Path) -> dict[str, str]:
    """A tar file for each path of BACKUP_PATHS of this side: file name → path. Raises Refusal for one that is not there."""
    made: dict[str, str] = {}
    for number, name in enumerate(settings.BACKUP_PATHS.get(side, ())):
        path = Path(name)
        if not path.exists():
            raise Refusal("There is no such file or directory.", subject=name, todo="Correct BACKUP_PATHS.")
        target = directory / f"files-{number}.tar"
        with tarfile.open(target, "w") as tar:
            tar.add(path, arcname=path.name)
        made[target.name] = str(path)
    return made


def write_configuration(directory: Path) -> list[str]:
    """The settings in force and the plan's file. Secrets have a file of their own, which is written only to be sealed."""
    values = {
        name: getattr(settings, name) for name in sorted(dir(settings))
        if name.isupper() and name not in _OURS and isinstance(getattr(settings, name), _PLAIN)
    }  # fmt: skip
    cleanse = SafeExceptionReporterFilter().cleanse_setting
    shown = {
        name: cleanse("SECRET", value) if name in _HIDDEN else _shown(cleanse(name, value))
        for name, value in values.items()
    }
    _write(directory / "settings.json", shown)
    plan = Path(settings.MIGRATION_PLAN)
    (directory / "plan.toml").write_bytes(plan.read_bytes())
    if not store.sealing():
        return ["settings.json", "plan.toml"]
    hidden = {name: value for name, value in values.items() if shown[name] != value}
    _write(directory / "secrets.json", hidden)
    return ["settings.json", "plan.toml", "secrets.json"]


def _shown(value: Any) -> Any:
    """An address without its password, whether it is a URL or libpq's list of settings."""
    if isinstance(value, str) and (("://" in value and "@" in value) or "password=" in value):
        return databases.without_password(value)
    return value


def _write(path: Path, body: dict[str, Any]) -> None:
    path.touch(0o600)
    path.write_text(json.dumps(body, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")
