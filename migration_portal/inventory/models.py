"""What was in the legacy system, and when: dated records that can be compared."""

from __future__ import annotations

from django.db import models


class Inventory(models.Model):
    """One look at the legacy database. `content` is the whole record; see take.py for its shape."""

    taken_at = models.DateTimeField(auto_now_add=True)
    taken_by = models.CharField(max_length=150)
    content = models.JSONField()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "inventories"
        default_permissions = ("view",)
        permissions = [("take_inventory", "Can take an inventory")]

    def __str__(self) -> str:
        return f"Inventory {self.pk} of {self.taken_at:%Y-%m-%d %H:%M}"
