"""What a client wants of an authorization request beyond a code: `prompt` and `max_age` (OpenID Connect Core §3.1.2.1)."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidRequestError
from django.http import HttpRequest

from iam.models import Session

_KNOWN = {"none", "login", "consent"}
_ASKED = "iam_login_asked"
_MOST_ASKED, _ASKED_SECONDS = 10, 600


@dataclass(frozen=True)
class Wishes:
    """`silent`: no page may be shown. `max_age` in seconds, None where the client does not care."""

    silent: bool
    login: bool
    consent: bool
    max_age: int | None
    redirect_uri: str
    state: str | None

    @classmethod
    def read(cls, request: HttpRequest, grant: Any) -> Wishes:
        """Raises InvalidRequestError, which goes back to the client."""
        asked = grant.request.payload
        uri = asked.redirect_uri or ""
        prompts = set(str(asked.data.get("prompt") or "").split())
        sent = asked.data.get("max_age")
        if prompts - _KNOWN or ("none" in prompts and len(prompts) > 1):
            raise _invalid("prompt is none, or of login and consent.", uri, asked.state)
        if sent is not None and not (sent.isascii() and sent.isdigit() and len(sent) < 10):
            raise _invalid("max_age is a number of seconds.", uri, asked.state)
        max_age = None if sent is None else int(sent)
        return cls("none" in prompts, "login" in prompts, "consent" in prompts, max_age, uri, asked.state)

    def sign_in_again(self, request: HttpRequest, session: Session) -> bool:
        """Whether the user must show who they are although they are signed in: asked once for each request of a client."""
        now, shown = time.time(), session.auth_time.timestamp()
        if not self.login and (self.max_age is None or now - shown <= self.max_age):
            return False
        asked: dict[str, float] = request.session.get(_ASKED, {})
        this = _of(request)
        since = asked.get(this, 0.0)
        if shown >= since > now - _ASKED_SECONDS:
            return False
        if since <= now - _ASKED_SECONDS:
            request.session[_ASKED] = dict([*asked.items(), (this, now)][-_MOST_ASKED:])
        return True

    def answered(self, request: HttpRequest) -> None:
        """A code was given: the same address asks anew."""
        asked = request.session.get(_ASKED, {})
        if asked.pop(_of(request), None) is not None:
            request.session[_ASKED] = asked

    def ask_nothing(self, error: type[Exception]) -> None:
        """Raises the error where no page may be shown."""
        if self.silent:
            raise error(redirect_uri=self.redirect_uri, state=self.state)  # type: ignore[call-arg]


def _of(request: HttpRequest) -> str:
    """The request of a client, among those that this browser was asked to sign in for."""
    return hashlib.sha256(request.META.get("QUERY_STRING", "").encode()).hexdigest()[:16]


def _invalid(sentence: str, uri: str, state: str | None) -> InvalidRequestError:
    return InvalidRequestError(sentence, state=state, redirect_uri=uri)
