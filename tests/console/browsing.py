"""A client of the console, and its pages."""

from django.test import Client

from tests import builders


def browser(*groups: str) -> Client:
    client = Client(enforce_csrf_checks=False)
    client.force_login(builders.member(*groups))
    return client
