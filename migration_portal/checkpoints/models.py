"""Checkpoints: what was looked at on one day, and what came of it."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone


class Checkpoint(models.Model):
    """One checkpoint. `results` is a list of {group, name, passed (true, false or null), what, todo}."""

    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150)
    seconds = models.FloatField(default=0)
    results = models.JSONField(default=list)

    class Meta:
        ordering = ["-at"]
        default_permissions = ("view",)
        permissions = [("take_checkpoint", "Can take a checkpoint")]

    def __str__(self) -> str:
        return f"Checkpoint of {self.at:%Y-%m-%d %H:%M}"

    @property
    def failed(self) -> list[dict[str, Any]]:
        return [result for result in self.results if result["passed"] is False]

    @property
    def passed(self) -> bool:
        """Nothing that could be looked at failed."""
        return not self.failed

    @property
    def state(self) -> str:
        return "ok" if self.passed else "failed"

    def changes_since(self, before: Checkpoint | None) -> list[str]:
        """What passes or fails otherwise than it did then, in words."""
        then = {(r["group"], r["name"]): r["passed"] for r in before.results} if before else {}
        words = {True: "passes", False: "fails", None: "cannot be told"}
        return [
            f"{result['name']} {words[result['passed']]} (before: {words[then[key]]})"
            for result in self.results
            if (key := (result["group"], result["name"])) in then and then[key] != result["passed"]
        ]
