"""A tenant on the board, and a browser before it."""

from __future__ import annotations

from django.test import Client

from tests import builders


def browser(*groups: str) -> Client:
    client = Client()
    client.force_login(builders.member(*groups))
    return client


def said(client: Client, url: str, data: dict) -> str:
    return client.post(url, data, follow=True).content.decode()
