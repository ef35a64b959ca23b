"""A client of the console, and its pages."""

import html
import re
from typing import Any

from django.test import Client

from tests import builders


def browser(*groups: str) -> Client:
    client = Client(enforce_csrf_checks=False)
    client.force_login(builders.member(*groups))
    return client


def decided(client: Client, place: str, action: str, *ticked: Any, everything: bool = False, **fields: str) -> str:
    """Run a bulk action of a list: what its page says, and with `reason` what came of it."""
    chosen = {"action": action, "index": "0", "select_across": "1" if everything else "0", "_selected_action": ticked}
    page = client.post(place, chosen)
    assert page.status_code == 200, page.status_code
    if "reason" not in fields:
        return words(page)
    return words(client.post(place, {"shown": page.context["found"], **chosen, **fields}, follow=True))


def words(page: Any) -> str:
    """The body's text, without its markup."""
    body = re.sub(r"<(script|style).*?</\1>", "", page.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
