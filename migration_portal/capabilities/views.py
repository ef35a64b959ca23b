"""The capabilities' pages: system, one capability with its tenants, one tenant, one user; each value with why it is so."""

from __future__ import annotations

import json
from typing import Any

from django.core.paginator import Paginator
from django.db import DatabaseError, ProgrammingError
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from iam import capabilities
from iam.models import SystemCapability, Tenant, TenantCapability, TenantFeature, User, UserCapability
from migration_portal import console, databases
from migration_portal.capabilities import derive as deriving
from migration_portal.capabilities import edit
from migration_portal.refusal import Refusal

VIEW, MANAGE = "inventory.view_preflight", "migration_portal.manage_capabilities"
_PAGE = 50
_USERS = 20


def board(request: HttpRequest) -> HttpResponse:
    """What the system offers, how many tenants differ from it, and what deriving would do now."""
    console.need(request, VIEW)
    trouble, rows, would = "", [], []
    try:
        rows = _offers()
    except ProgrammingError:
        trouble = "The IAM's capability tables cannot be read. Apply the IAM schema first."
    except DatabaseError as error:
        trouble = databases.words(error)
    if request.GET.get("would"):
        try:
            would = deriving.would()
        except Refusal as refusal:
            trouble = str(refusal)
    return console.page(
        request, "portal/capabilities/board.html", "Capabilities", rows=rows, trouble=trouble, would=would,
        asked=bool(request.GET.get("would")), may=request.user.has_perm(MANAGE),
    )  # fmt: skip


def _offers() -> list[dict[str, Any]]:
    counted = TenantCapability.objects.values("capability_key").annotate(
        on=Count("tenant_id", filter=Q(enabled=True)), off=Count("tenant_id", filter=Q(enabled=False)),
        own=Count("tenant_id", filter=Q(value__isnull=False)),
    )  # fmt: skip
    of = {each["capability_key"]: each for each in counted}
    return [
        {"offer": offer, "value": _text(offer.default_value), **of.get(offer.pk, {"on": 0, "off": 0, "own": 0})}
        for offer in SystemCapability.objects.all()
    ]


def derive(request: HttpRequest) -> HttpResponse:
    def do() -> str:
        done = deriving.derive(by=console.by(request), reason=console.reason(request))
        return (
            f"Derived: {sum(each.written for each in done):,} rows written, {sum(e.removed for e in done):,} removed."
        )

    return console.act(request, MANAGE, do, back=reverse("capabilities"), done="")


def capability(request: HttpRequest, key: str) -> HttpResponse:
    """One: the system's switch and value; its tenants, to be changed one by one or all that the filter shows."""
    offer = get_object_or_404(SystemCapability, pk=key)
    if request.method == "POST":

        def do() -> None:
            edit.edit_system(
                key, enabled=request.POST.get("enabled") == "yes", value=request.POST.get("value", ""),
                by=console.by(request), reason=console.reason(request),
            )  # fmt: skip

        return console.act(
            request, MANAGE, do, back=reverse("capability", args=[key]), done="Changed; in force with the next call to the IAM.",
        )  # fmt: skip
    console.need(request, VIEW)
    found = _filtered(request, key)
    page = Paginator(found, _PAGE).get_page(request.GET.get("page"))
    rows = TenantCapability.objects.filter(capability_key=key, tenant_id__in=[tenant.pk for tenant in page])
    own = {each.tenant_id: each for each in rows}
    shown = [(tenant, own.get(tenant.pk)) for tenant in page]
    query = request.GET.copy()
    query.pop("page", None)
    return console.page(
        request, "portal/capabilities/capability.html", offer.pk, offer=offer, value=_text(offer.default_value), shown=shown,
        page=page, query=query.urlencode(), q=request.GET.get("q", ""), state=request.GET.get("state", ""),
        may=request.user.has_perm(MANAGE), texts={pk: _text(each.value) for pk, each in own.items() if each.value is not None},
    )  # fmt: skip


def _filtered(request: HttpRequest, key: str) -> QuerySet[Tenant]:
    """The tenants that the filter in the query string shows."""
    own = TenantCapability.objects.filter(capability_key=key, tenant_id=OuterRef("pk"))
    found = Tenant.objects.order_by("name", "pk")
    if q := request.GET.get("q", "").strip().replace("\0", ""):
        found = found.filter(Q(name__icontains=q) | Q(slug__icontains=q))
    state = request.GET.get("state")
    if state == "on":
        found = found.filter(Exists(own.filter(enabled=True)))
    elif state == "off":
        found = found.filter(Exists(own.filter(enabled=False)))
    elif state == "own":
        found = found.filter(Exists(own.filter(value__isnull=False)))
    elif state == "none":
        found = found.filter(~Exists(own))
    elif state:
        return found.none()
    return found


def edit_tenants(request: HttpRequest, key: str) -> HttpResponse:
    """Of the ticked tenants, of all that the filter shows, or of one whose page it came from."""

    def do() -> str:
        if request.POST.get("all") == "yes":
            tenants = [str(pk) for pk in _filtered(request, key).values_list("pk", flat=True)]
        else:
            tenants = request.POST.getlist("tenant")
        count = edit.edit_tenants(
            tenants, key, enabled=request.POST.get("enabled") == "yes",
            value=None if request.POST.get("keep") == "yes" else request.POST.get("value", ""),
            by=console.by(request), reason=console.reason(request),
        )  # fmt: skip
        return f"Changed for {count:,} tenant{'' if count == 1 else 's'}; in force with the next call to the IAM."

    one = request.POST.getlist("tenant")
    back = reverse("capability", args=[key]) + (f"?{request.GET.urlencode()}" if request.GET else "")
    if request.POST.get("from") == "tenant" and len(one) == 1 and (found := _tenant_or_none(one[0])):
        back = reverse("capabilities_tenant", args=[found.pk])
    return console.act(request, MANAGE, do, back=back, done="")


def _tenant_or_none(id: str) -> Tenant | None:
    found = edit.known([id])
    return found[0] if found else None


def tenant(request: HttpRequest, pk: Any) -> HttpResponse:
    """One tenant: every capability as it is for it, and why; its features; its users, to be found by name."""
    console.need(request, VIEW)
    chosen = get_object_or_404(Tenant, pk=pk)
    who = request.GET.get("user", "").strip().replace("\0", "")
    people = User.objects.filter(tenant=chosen).order_by("username")
    if who:
        people = people.filter(Q(username__icontains=who) | Q(email__icontains=who))
    return console.page(
        request, "portal/capabilities/tenant.html", str(chosen), tenant=chosen, rows=_rows(chosen), who=who,
        people=people[:_USERS] if who else [], features=TenantFeature.objects.filter(tenant=chosen).order_by("feature_key"),
        may=request.user.has_perm(MANAGE),
    )  # fmt: skip


def user(request: HttpRequest, pk: Any) -> HttpResponse:
    """One user: what their tenant may use, and what they are enrolled in."""
    console.need(request, VIEW)
    chosen = get_object_or_404(User.objects.select_related("tenant"), pk=pk)
    states = {each.capability_key: each for each in UserCapability.objects.filter(user_id=chosen.pk)}
    rows = [row | {"mine": states.get(row["key"])} for row in _rows(chosen.tenant)]
    return console.page(
        request,
        "portal/capabilities/user.html",
        str(chosen),
        person=chosen,
        rows=rows,
        may=request.user.has_perm(MANAGE),
    )


def end_enrolment(request: HttpRequest, pk: Any) -> HttpResponse:
    chosen = get_object_or_404(User, pk=pk)
    return console.act(
        request, MANAGE, lambda: edit.end_enrolment(chosen, by=console.by(request), reason=console.reason(request)),
        back=reverse("capabilities_user", args=[pk]), done="The user has to enrol anew.",
    )  # fmt: skip


def _rows(of: Tenant) -> list[dict[str, Any]]:
    return [
        {
            "key": each.key, "on": each.on, "value": _text(each.value), "own": _text(each.own) if each.own is not None else "",
            "because": each.because,
        }
        for each in capabilities.of(of.pk).values()
    ]  # fmt: skip


def _text(value: Any) -> str:
    return "" if value in (None, {}) else json.dumps(value, ensure_ascii=False)
