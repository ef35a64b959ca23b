"""The IAM schema's scripts: what is applied, by whom, and the two buttons."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from migration_portal import console, databases
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.refusal import Refusal
from migration_portal.schema import apply, scripts
from migration_portal.schema.models import AppliedScript


@admin.register(AppliedScript)
class AppliedScriptAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.show), name="schema"),
            path("", wrap(self.show), name="schema_appliedscript_changelist"),
            path("apply/", wrap(self.apply), name="schema_apply"),
            path("roll-back/", wrap(self.roll_back), name="schema_roll_back"),
        ]

    def show(self, request: HttpRequest) -> HttpResponse:
        console.need(request, "schema.view_appliedscript")
        context: dict[str, Any] = {
            "states": [],
            "trouble": "",
            "may_apply": request.user.has_perm("schema.apply_script"),
            "may_roll_back": request.user.has_perm("schema.roll_back_script"),
        }
        try:
            with databases.iam("schema") as iam:
                context["states"] = scripts.states(iam, scripts.read(apply.DIRECTORY))
        except Refusal as refusal:
            context["trouble"] = str(refusal)
        context["waiting"] = sum(not state.applied for state in context["states"])
        context["applied"] = sum(state.applied for state in context["states"])
        return console.page(request, "portal/schema/page.html", "IAM schema", **context)

    def apply(self, request: HttpRequest) -> HttpResponse:
        def ask() -> str:
            names = apply.apply(by=console.by(request))
            return f"Applied: {', '.join(names)}." if names else "Everything was applied already."

        return console.act(request, "schema.apply_script", ask, back=reverse("admin:schema"), done="")

    def roll_back(self, request: HttpRequest) -> HttpResponse:
        def ask() -> str:
            console.require_typed(request, "roll back")
            names = apply.roll_back(by=console.by(request), reason=console.reason(request))
            return f"Rolled back: {', '.join(names)}." if names else "Nothing was applied."

        return console.act(request, "schema.roll_back_script", ask, back=reverse("admin:schema"), done="")
