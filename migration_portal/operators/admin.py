"""Operators, their groups and second factors. Second factors are managed by their owners, and removed by a superuser for who
lost theirs: nobody sees a secret.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from migration_portal.audit import chain
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.operators.accounts import OperatorAdmin, OperatorGroupAdmin

for others in (StaticDevice, TOTPDevice, User, Group):
    if admin.site.is_registered(others):
        admin.site.unregister(others)
admin.site.register(User, OperatorAdmin)
admin.site.register(Group, OperatorGroupAdmin)


@admin.register(TOTPDevice)
class SecondFactorAdmin(ReadOnlyAdmin):
    list_display = ("user", "name", "confirmed", "created_at", "last_used_at")
    fields = ("user", "name", "confirmed", "created_at", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """With the recovery codes, which would let the finder of them in."""
        StaticDevice.objects.filter(user=obj.user).delete()
        chain.record("remove_second_factor", of=obj.user)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for device in queryset:
            self.delete_model(request, device)
