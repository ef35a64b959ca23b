"""Somebody whose password only legacy could check, a template with a link, and the page that it leads to."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from iam.models import User
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import make_user

PAGE, CHOSEN, OTHER = "/oauth/new-password", "a long and new passphrase", "one more lengthy sentence"
ODD = "{SHA}what-is-this"


@pytest.fixture
def ann(api: Api) -> User:
    return make_user(api.tenant, username="ann", hashed_password=ODD)


def client(**options: Any) -> Client:
    return Client(raise_request_exception=False, **options)


def choose(token: str, password: str = CHOSEN, **options: Any) -> Any:
    return client(**options).post(PAGE, {"token": token, "new_password": password, "again": password})


def token_in(made: Any) -> str:
    text = made.get_body(("plain",)).get_content()
    return parse_qs(urlsplit(re.search(r"https://\S+", text)[0]).query)["token"][0]  # type: ignore[index]
