"""What recipients and mail providers call: unsubscribing, and telling of bounces."""

from __future__ import annotations

import json
import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from migration_portal.monitoring.hooks import genuine
from migration_portal.notices.models import Recipient, Unsubscribed


def unsubscribe_url(token: str) -> str:
    """Empty where nobody knows under which address users reach this portal."""
    return f"{settings.PUBLIC_URL}{reverse('unsubscribe', args=[token])}" if settings.PUBLIC_URL else ""


@csrf_exempt
@require_http_methods(["GET", "POST"])
def unsubscribe(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """A page with one button; mail programs post to it by themselves (RFC 8058). The link's token is all that is needed."""
    found = Recipient.objects.filter(token=token).first()
    done = request.method == "POST" and found is not None
    if done and found is not None:
        Unsubscribed.objects.get_or_create(email=found.email.lower())
    answer = render(request, "portal/notices/unsubscribe.html", {"done": done, "known": found is not None})
    answer["Cache-Control"], answer["Referrer-Policy"] = "no-store", "no-referrer"
    return answer


@csrf_exempt
@require_POST
def bounces(request: HttpRequest) -> HttpResponse:
    """From a mail provider that knows NOTICES_SECRET: `{"email": …, "reason": …}`, signed as our own webhooks are."""
    secret = settings.NOTICES_SECRET
    if not secret:
        return JsonResponse({"detail": "NOTICES_SECRET is not set."}, status=404)
    if not genuine(request, secret):
        return JsonResponse({"detail": "The signature is wrong or too old."}, status=401)
    try:
        body = json.loads(request.body)
        email, reason = _storable(body["email"]), _storable(body.get("reason") or "bounced")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return JsonResponse({"detail": "The body is no JSON object with an email."}, status=400)
    sent = Recipient.objects.filter(email__iexact=email, state=Recipient.State.SENT)
    return JsonResponse({"bounced": sent.update(state=Recipient.State.BOUNCED, error=reason[:500])})


def _storable(sent: object) -> str:
    """As text that a database takes: no NUL, and no half of a surrogate pair."""
    return str(sent).replace("\0", "").encode("utf-8", "replace").decode()
