"""Where the objects of events are in the console."""

from __future__ import annotations

from django.apps import apps
from django.urls import NoReverseMatch, reverse

_PAGES = {
    "tenanthome": "cutover_tenant", "backup": "backup", "restoration": "restoration", "rehearsal": "rehearsal",
    "rollback": "roll_back", "wave": "wave", "approval": "approval", "checkpoint": "checkpoint", "notice": "notice",
    "client": "client", "deploymentplan": "deployment_plan", "capability": "capability",
}  # fmt: skip
"""Pages that take the object's key, by the name of its model. Others have their record's page, if they have one."""


def page_of(object_type: str, object_id: str) -> str:
    """The address of an object's page; an empty string for what has none."""
    if not object_id:
        return ""
    if object_type == "user":  # an operator's is a number, a person's is legacy's or the IAM's
        name, key = ("admin:auth_user_change", object_id) if object_id.isdecimal() else ("person", object_id)
        return _reversed(name, key)
    if object_type in _PAGES:
        return _reversed(_PAGES[object_type], object_id)
    models = (model for model in apps.get_models() if model._meta.model_name == object_type)
    return next(
        filter(None, (_reversed(f"admin:{m._meta.app_label}_{object_type}_change", object_id) for m in models)), ""
    )


def _reversed(name: str, key: str) -> str:
    for argument in (key, int(key)) if key.isdecimal() else (key,):
        try:
            return reverse(name, args=[argument])
        except NoReverseMatch:
            continue
    return ""
