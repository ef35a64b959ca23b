"""Operators' accounts and the groups they are in: added and changed by superusers, each change on record.

An account is switched off, never removed: the audit log names its owner for ever, and no other may take that name.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from migration_portal.audit import chain

_GROUPS = {
    "viewer": "Sees runs, inventories, pre-flights, schema, plan and audit log. Changes nothing.",
    "support": "Helps people: finds them on both sides, sees why they cannot sign in, signs them out. Sees quarantine.",
    "operator": "Does the work: runs, cut-overs and reverses, waves, backups, notices, capabilities. Asks approvers for the rest.",
    "approver": "Agrees to what restores, removes or is final: undo, finalize, restore, roll-backs, the guard, discarded rows.",
}
"""What the four groups are for; docs/runbook.md has the whole list."""


class AddOperatorForm(UserCreationForm):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["is_staff"].initial = True  # without it nobody enters the console


class SetPasswordForm(AdminPasswordChangeForm):
    @transaction.atomic
    def save(self, commit: bool = True) -> Any:
        chain.record("set_password", of=self.user)
        return super().save(commit)


class OperatorAdmin(UserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = AddOperatorForm
    add_form_template = None
    change_password_form = SetPasswordForm
    list_display = ("username", "name", "group_names", "is_active", "is_superuser", "last_login")
    list_filter = ("groups", "is_active", "is_superuser")
    list_disable_select_all = True
    actions = None
    filter_horizontal = ()
    fieldsets = (
        ("Who it is", {"fields": ("username", "first_name", "last_name", "email")}),
        ("Password", {"fields": ("password",)}),
        ("What they may do", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        ("Who it is", {"fields": ("username", "first_name", "last_name", "email")}),
        ("Password", {"fields": ("usable_password", "password1", "password2")}),
        ("What they may do", {"fields": ("is_staff", "groups")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="Name")
    def name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description="Groups")
    def group_names(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "none: sees nothing"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **options)
        if db_field.name == "groups" and field is not None:
            field.help_text = " ".join(f"{name}: {text}" for name, text in _GROUPS.items())
        return field

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.before = _rights(found)  # the form changes it while it is checked
        return found

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        made = User.objects.get(pk=form.instance.pk)
        before = form.instance.before if change else ""
        chain.record(
            "change_operator" if change else "add_operator", of=made, data={"from": before, "to": _rights(made)}
        )


def _rights(user: User) -> str:
    """What an account may do, in words: anna: may sign in, is superuser; groups: operator."""
    kinds = ((user.is_active, "may sign in"), (user.is_staff, "staff"), (user.is_superuser, "superuser"))
    groups = ", ".join(user.groups.order_by("name").values_list("name", flat=True))
    return (
        f"{user.username}: {', '.join(word for held, word in kinds if held) or 'nothing'}; groups: {groups or 'none'}"
    )


class OperatorGroupAdmin(DjangoGroupAdmin, ModelAdmin):
    list_display = ("name", "purpose", "members")
    list_disable_select_all = True
    actions = None
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **options: Any) -> Any:
        """Boxes: Django's two lists cannot be read by those who do not see them."""
        return super().formfield_for_manytomany(
            db_field, request, **options, widget=UnfoldAdminCheckboxSelectMultipleWidget()
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).annotate(count=Count("user"))

    @admin.display(description="For")
    def purpose(self, group: Group) -> str:
        return _GROUPS.get(group.name, "")

    @admin.display(description="Members", ordering="count")
    def members(self, group: Any) -> int:
        return int(group.count)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found: Any = super().get_object(request, object_id, from_field)
        if found is not None:
            found.before = _permissions(found)
        return found

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        made: Any = form.instance
        before, after = made.before if change else set(), _permissions(made)
        data = {"from": sorted(before - after), "to": sorted(after - before)}
        chain.record("change_group" if change else "add_group", of=made, reason=made.name, data=data)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        chain.record("remove_group", of=obj, reason=obj.name, data={"from": sorted(_permissions(obj))})
        super().delete_model(request, obj)


def _permissions(group: Group) -> set[str]:
    return set(group.permissions.values_list("codename", flat=True))
