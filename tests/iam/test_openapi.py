"""The new API keeps to its OpenAPI document."""

from __future__ import annotations

import base64
import os

import pytest
import schemathesis
from django.conf import settings as django_settings
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.wsgi import application
from tests.iam.conftest import Api
from tests.legacy_compat.conftest import make_licence, make_user

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


ENDS = ("/api/v1/auth/logout", "/api/v1/me/password")


def test_every_answer_is_one_the_document_describes(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django_settings, "MFA_SECRET_KEY", base64.b64encode(os.urandom(32)).decode())
    make_user(api.tenant)
    make_licence(api.tenant)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        def ask(case: schemathesis.Case) -> None:
            # A sign-out or a new password would end the session that the next request needs.
            token = api.token if case.operation.path not in ENDS else "x.y.z"
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

        ask()
        asked += 1
    assert asked == 30


def test_the_document_is_browsable(api: Api) -> None:
    page = api.client.get("/api/v1/docs").content.decode()
    assert "swagger" in page.lower() and "https://" not in page
