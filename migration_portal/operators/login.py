"""The console's login form, throttled as every other door."""

from __future__ import annotations

import contextlib
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from iam import throttles


class LoginForm(AuthenticationForm):
    """Wrong passwords count per operator and network. Without Redis operators still get in: then they are needed most."""

    def clean(self) -> dict[str, Any]:
        assert self.request is not None
        ip = self.request.META.get("REMOTE_ADDR", "")
        key = (
            f"operator:{User.objects.filter(username=self.cleaned_data.get('username', '')).values_list('pk').first()}"
        )
        unknown = key.endswith("None")
        with contextlib.suppress(throttles.Unavailable):
            if throttles.locked(key, ip):
                with contextlib.suppress(ValidationError):
                    super().clean()  # the answer takes its usual time
                raise self.get_invalid_login_error()
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            with contextlib.suppress(throttles.Unavailable):
                throttles.failed([] if unknown else [key], ip)
            raise
        throttles.succeeded(key, ip)
        return cleaned
