"""What no log line holds."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.core.checks import run_checks
from django.test import RequestFactory

from config.request_log import RequestLog


def line(message: str, *values: Any) -> str:
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=settings.LOGGING["formatters"]["json"]["processors"],
        foreign_pre_chain=settings.LOGGING["formatters"]["json"]["foreign_pre_chain"],
    )
    return formatter.format(logging.LogRecord("django.request", logging.WARNING, "", 1, message, values, None))


@pytest.mark.parametrize(
    ("message", "secret"),
    [
        ("Not Found: /api/licenses/validate/MIIBIjANBgkq/hkiG9w0B", "MIIB"), ("GET /oauth/authorize?state=s3cret HTTP", "s3cret"),
        ("/oauth/token?client_secret=s3cret", "s3cret"), ('"GET /api/licenses/validate?license_key=s3cret" 200', "s3cret"),
        ("GET /callback?code=s3cret&x=%20y", "s3cret"),
    ],
)  # fmt: skip
def test_no_line_holds_a_query_or_a_licence_key(message: str, secret: str) -> None:
    said = line("%s", message)
    assert secret not in said and json.loads(said)["event"].startswith(message[:4])


def test_a_sentence_with_a_question_mark_is_left_alone() -> None:
    assert json.loads(line("Is it well? Yes."))["event"] == "Is it well? Yes."


def test_a_request_is_logged_without_its_query() -> None:
    request = RequestFactory().get("/oauth/authorize?code=s3cret")
    assert RequestLog.format_request(request) == "GET /oauth/authorize"


def test_an_upstream_without_its_secret_is_said_before_deployment(settings: Any) -> None:
    settings.LEGACY_UPSTREAM_URL, settings.LEGACY_JWT_SECRET = "http://legacy", settings.SECRET_KEY
    assert "legacy_compat.W001" in {found.id for found in run_checks(include_deployment_checks=True)}
    settings.LEGACY_JWT_SECRET = "another"
    assert "legacy_compat.W001" not in {found.id for found in run_checks(include_deployment_checks=True)}
