"""Which system owns a tenant's writes."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class TenantHome(models.Model):
    """One tenant's home. `tenant` is its id in the IAM, `legacy_tenant` in legacy; a tenant without a row lives in legacy."""

    class Home(models.TextChoices):
        LEGACY = "legacy"
        IAM = "iam", "IAM"

    tenant = models.CharField(max_length=64, primary_key=True)
    legacy_tenant = models.CharField(max_length=64)
    name = models.CharField(max_length=255, blank=True)
    home = models.CharField(max_length=10, choices=Home.choices, default=Home.LEGACY)
    wave = models.CharField(max_length=100, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.CharField(max_length=150, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    final = models.BooleanField(default=False)

    class Meta:
        ordering = ["name", "tenant"]
        verbose_name = "tenant"
        default_permissions = ("view",)
        indexes = [models.Index(fields=["home"], name="tenant_home")]

    def __str__(self) -> str:
        return self.name or self.tenant

    @property
    def held(self) -> bool:
        """Its writes wait for a moment: it is being moved."""
        return self.held_until is not None and self.held_until > timezone.now()
