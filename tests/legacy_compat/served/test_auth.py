"""Signing in at the other address, and what needs a mail."""

from __future__ import annotations

from typing import Any

from tests.legacy_compat.served.conftest import Caller, credentials, detail


def test_v1_login_signs_in(boss: Caller) -> None:
    answer = boss.client.post("/api/auth/v1/login", credentials(boss.user))
    assert list(answer.json()) == ["access_token", "refresh_token", "token_type", "expires_in", "scope", "id_token"]
    assert detail(boss.client.post("/api/auth/v1/login", credentials(boss.user, "no"))) == (
        401,
        "Incorrect username or password",
    )


def test_what_needs_a_mail_says_what_it_said(boss: Caller) -> None:
    def ask(path: str) -> tuple[int, Any]:
        answer = boss.client.post(f"/api/auth/v1/{path}", {"email": "a@b"}, content_type="application/json")
        return answer.status_code, answer.json()

    assert ask("forgot-password") == (200, {"message": "If the email exists, a password reset link has been sent"})
    assert ask("resend-verification") == (200, {"message": "If the email exists, a verification link has been sent"})
    assert ask("reset-password") == (400, {"detail": "Invalid reset token"})
    assert ask("verify-email") == (400, {"detail": "Invalid verification token"})
