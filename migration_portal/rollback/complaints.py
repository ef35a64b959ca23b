"""Complaints of users: registered by support in two clicks, or by a help desk's webhook."""

from __future__ import annotations

import json

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from migration_portal.audit import chain
from migration_portal.monitoring.hooks import genuine
from migration_portal.refusal import Refusal
from migration_portal.rollback.models import Complaint


def register(about: str, *, by: str, tenant: str = "", text: str = "", reference: str = "") -> Complaint:
    """Keep one; a ticket that is known counts once. Raises Refusal."""
    if about not in Complaint.About.values:
        raise Refusal(
            f"“{about}” is nothing to complain about.", todo=f"Use one of: {', '.join(Complaint.About.values)}."
        )
    with transaction.atomic():
        reference = reference[:100]
        if reference and (known := Complaint.objects.filter(reference=reference).first()):
            return known
        made = Complaint.objects.create(about=about, by=by, tenant=tenant[:64], text=text[:500], reference=reference)
        chain.record("register_complaint", of=made, by=by, data={"field": about, "tenant": made.tenant})
    return made


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """From a help desk that knows COMPLAINTS_SECRET: the signature is as that of our own webhooks. Old ones are refused."""
    secret = settings.COMPLAINTS_SECRET
    if not secret:
        return JsonResponse({"detail": "COMPLAINTS_SECRET is not set."}, status=404)
    if not genuine(request, secret):
        return JsonResponse({"detail": "The signature is wrong or too old."}, status=401)
    try:
        body = json.loads(request.body)
        fields = {
            name: str(body.get(name) or "").replace("\0", "") for name in ("about", "tenant", "text", "reference")
        }
        made = register(**fields, by="help desk")
    except (ValueError, AttributeError, RecursionError):
        return JsonResponse({"detail": "The body is no JSON object."}, status=400)
    except Refusal as refusal:
        return JsonResponse({"detail": str(refusal)}, status=422)
    return JsonResponse({"id": made.pk}, status=201)
