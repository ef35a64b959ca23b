"""The plan that is being drafted: one text, as it was saved last."""

from __future__ import annotations

from django.db import models


class PlanDraft(models.Model):
    """A version of the text; the latest is worked on."""

    name = models.CharField(max_length=100)
    text = models.TextField()
    saved_at = models.DateTimeField(auto_now_add=True)
    saved_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        # Its expressions are SQL that reads legacy: who may write them may read whatever the portal's role may.
        permissions = [("write_plandraft", "Can draft plans, and so read all of legacy")]

    def __str__(self) -> str:
        return f"{self.name}, {self.saved_at:%Y-%m-%d %H:%M}"
