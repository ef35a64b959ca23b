"""What the pages of /oauth/ share."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from flags import homes
from flags.models import TenantHome
from iam.models import User
from iam.oauth.browser import safe_next


class NotHere(Exception):
    """The user's tenant lives in the legacy system."""


def at_home(user: User, *, write: bool = True) -> None:
    """Raises NotHere."""
    if homes.serving(str(user.tenant_id), write=write) != TenantHome.Home.IAM:
        raise NotHere


def page(request: HttpRequest, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    return render(request, f"oauth/{name}.html", context, status=status)


def sign_in_first(request: HttpRequest) -> HttpResponse:
    """To the sign-in page, and from there back."""
    return redirect(f"{reverse('oauth_sign_in')}?{urlencode({'next': request.get_full_path()})}")


def after(request: HttpRequest) -> str:
    """Where to go afterwards; the getting-started page where nothing else was asked for."""
    return safe_next(request, reverse("welcome"))
