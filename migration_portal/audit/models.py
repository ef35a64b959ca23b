"""Who did what, when, to what, why. Appended, never changed: triggers refuse it, and a hash chain shows it."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT

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

    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    verb = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    run = models.BigIntegerField(null=True, blank=True)
    data = models.JSONField(default=dict, blank=True)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("verify_event", "Can verify the audit chain")]
        indexes = [  # each begins with what is searched for, and ends with the order in which matches are shown
            models.Index("at", "id", name="audit_by_time"),
            models.Index("actor", "at", "id", name="audit_by_actor"),
            models.Index("actor", "verb", "at", "id", name="audit_by_actor_and_verb"),
            models.Index("verb", "at", "id", name="audit_by_verb"),
            models.Index("object_id", "at", "id", name="audit_by_object"),
            models.Index("object_type", "at", "id", name="audit_by_kind"),
            models.Index("run", "at", "id", name="audit_by_run", condition=Q(run__isnull=False)),
            models.Index("request_id", "at", name="audit_by_request", condition=~Q(request_id="")),
            models.Index(KT("data__tenant"), "at", "id", name="audit_by_tenant"),
            models.Index(KT("data__approver"), "at", "id", name="audit_by_approver"),
            GinIndex(SearchVector("reason", config="simple"), name="audit_by_words"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {verb_text(self.verb)} {self.object_type} {self.object_id}".strip()


class Archive(models.Model):
    """A stretch of the chain that is in a file and no more in the database: the events `first` to `last`, by their ids.

    `statement` says all of this, signed (archives.py): without it the gap in the chain is an event that is missing.
    """

    first = models.BigIntegerField()
    last = models.BigIntegerField()
    events = models.BigIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    file = models.CharField(max_length=200)
    statement = models.TextField()
    at = models.DateTimeField()
    by = models.CharField(max_length=150)
    reason = models.TextField()

    class Meta:
        ordering = ("first",)
        default_permissions = ()

    def __str__(self) -> str:
        return f"Events {self.first:,} to {self.last:,}"


class SavedSearch(models.Model):
    """A search of the log that somebody wants again. `query` is its query string; shared ones are everybody's to use."""

    name = models.CharField(max_length=80)
    owner = models.CharField(max_length=150)
    query = models.TextField()
    shared = models.BooleanField(default=False)

    class Meta:
        ordering = ("name", "id")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="one_search_of_a_name")]

    def __str__(self) -> str:
        return self.name
