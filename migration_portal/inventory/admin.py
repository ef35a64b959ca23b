"""Inventories: a list, a page with charts, downloads, and the comparison of two."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from migration_portal import console
from migration_portal.console.admin import ReadOnlyAdmin
from migration_portal.inventory import requests
from migration_portal.inventory.compare import compare
from migration_portal.inventory.models import Inventory
from migration_portal.inventory.text import as_text

_TOP_TENANTS = 15


@admin.register(Inventory)
class InventoryAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "requested_by", "size", "users", "tenants")
    list_before_template = "portal/inventory/list_before.html"

    @admin.display(description="Database")
    def size(self, record: Inventory) -> str:
        if record.error:
            return "failed"
        return f"{record.content['database']['bytes'] / 1e6:,.0f} MB" if record.content else "being taken…"

    @admin.display(description="Users")
    def users(self, record: Inventory) -> str:
        return f"{record.content['users'].get('total', 0):,}" if record.content else ""

    @admin.display(description="Tenants")
    def tenants(self, record: Inventory) -> str:
        return f"{len(record.content['tenants']):,}" if record.content else ""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("take/", wrap(self.take), name="inventory_inventory_take"),
            path("compare/", wrap(self.compare), name="inventory_inventory_compare"),
            path("<int:pk>/download.<slug:form>", wrap(self.download), name="inventory_inventory_download"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "title": "Inventories",
            "may_take": request.user.has_perm("inventory.take_inventory"),
            "records": list(Inventory.objects.exclude(content={})[:50]),
            "waiting": Inventory.objects.filter(finished_at=None).exists(),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def take(self, request: HttpRequest) -> HttpResponse:
        return console.act(
            request,
            "inventory.take_inventory",
            lambda: requests.request("inventory", by=console.by(request)) and None,
            back=reverse("admin:inventory_inventory_changelist"),
            done="An inventory is being taken.",
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        console.need(request, "inventory.view_inventory")
        record = self.one(request, object_id)
        content = record.content
        context: dict[str, Any] = {"record": record, "content": content}
        if content:
            tables = [{"name": name, **table} for name, table in content["tables"].items()]
            context["tables"] = sorted(tables, key=lambda table: -table["bytes"])
            context["most_bytes"] = max((table["bytes"] for table in tables), default=1) or 1
            context["top_tenants"] = content["tenants"][:_TOP_TENANTS]
            # What was taken before 28 November 2026 does not say which of them exist.
            context["missing_tenants"] = sum(not tenant.get("exists", True) for tenant in content["tenants"])
            context["tenant_count"] = len(content["tenants"]) - context["missing_tenants"]
            context["most_users"] = max((tenant["users"] for tenant in content["tenants"]), default=1) or 1
            context["schemes"] = content["password_schemes"]
            context["most_hashes"] = max(content["password_schemes"].values(), default=1) or 1
            context["more_tenants"] = max(len(content["tenants"]) - _TOP_TENANTS, 0)
        return console.page(request, "portal/inventory/page.html", str(record), **context)

    def download(self, request: HttpRequest, pk: int, form: str) -> HttpResponse:
        """The inventory as text or JSON."""
        console.need(request, "inventory.view_inventory")
        record = get_object_or_404(Inventory, pk=pk)
        if form == "json":
            body, kind = json.dumps(record.content, indent=2) + "\n", "application/json"
        elif form == "txt" and record.content:
            body, kind = as_text(str(record), record.content), "text/plain; charset=utf-8"
        else:
            return HttpResponse(status=404)
        answer = HttpResponse(body, content_type=kind)
        answer["Content-Disposition"] = f'attachment; filename="inventory-{pk}.{form}"'
        return answer

    def compare(self, request: HttpRequest) -> HttpResponse:
        """Two inventories side by side: ?before=1&after=2."""
        console.need(request, "inventory.view_inventory")
        records = [
            get_object_or_404(Inventory, pk=request.GET.get(name) if str(request.GET.get(name)).isdigit() else 0)
            for name in ("before", "after")
        ]
        before, after = sorted(records, key=lambda record: record.pk)
        changes = compare(before.content, after.content) if before.content and after.content else []
        context = {"before": before, "after": after, "changes": changes}
        return console.page(request, "portal/inventory/compare.html", "Schema drift", **context)
