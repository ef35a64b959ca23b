"""The console's login form, throttled as every other door."""

from __future__ import annotations

import contextlib
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from iam import throttles
from migration_portal.audit import chain


class LoginForm(AuthenticationForm):
    """Wrong passwords count per operator and network. Without Redis operators still get in: then they are needed most."""

    def clean(self) -> dict[str, Any]:
        assert self.request is not None
        ip = self.request.META.get("REMOTE_ADDR", "")
        operator = User.objects.filter(username=self.cleaned_data.get("username", "")).first()
        key = f"operator:{operator.pk if operator else ''}"
        with contextlib.suppress(throttles.Unavailable):
            if throttles.locked(key, ip):
                with contextlib.suppress(ValidationError):
                    super().clean()  # the answer takes its usual time
                if operator:
                    chain.record("lock_out", of=operator)
                raise self.get_invalid_login_error()
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            with contextlib.suppress(throttles.Unavailable):
                throttles.failed([key] if operator else [], ip)
            raise
        with contextlib.suppress(throttles.Unavailable):
            throttles.succeeded(key, ip)
        chain.record("sign_in", of=operator, by=operator.get_username() if operator else None)
        return cleaned
