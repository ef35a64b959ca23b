"""Who did what, when, to what, why. Appended, never changed: triggers refuse it, and a hash chain shows it."""

from __future__ import annotations

from django.db import models

_RENAMED = {
    "ask_move": "request_move", "abort_move": "block_move", "take_stray": "accept_stray", "drop_stray": "restore_stray",
}  # fmt: skip
"""Verbs of version 0.1: events are never edited, so they are read in today's words."""


def spellings(verb: str) -> list[str]:
    """A verb of today, and the words that earlier versions wrote for it."""
    return [verb, *(old for old, new in _RENAMED.items() if new == verb)]


def today(verb: str) -> str:
    return _RENAMED.get(verb, verb)


def verb_text(verb: str) -> str:
    """A verb as people read it: request_move -> request move."""
    return today(verb).replace("_", " ")


class Event(models.Model):
    """One change of state. `digest` covers every field and the digest of the event before it."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=150, db_index=True)
    verb = models.CharField(max_length=60, db_index=True)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    run = models.BigIntegerField(null=True, blank=True, db_index=True)
    data = models.JSONField(default=dict, blank=True)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("verify_event", "Can verify the audit chain")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {verb_text(self.verb)} {self.object_type} {self.object_id}".strip()
