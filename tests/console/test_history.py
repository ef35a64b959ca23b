"""From a thing's page to what the audit log has of it."""

from __future__ import annotations

import html
import re

from tests.console.browsing import words
from tests.console.lived_in import lived_in as lived_in  # the fixture
from tests.console.test_doors import signed_in
from tests.world import World


def test_what_is_no_record_of_the_portals_leads_to_its_history_too(world: World, lived_in: dict[str, str]) -> None:
    root = signed_in("root")
    for address, said in (
        (f"/admin/clients/{lived_in['admin/clients/']}/", "register client"),
        (f"/admin/capabilities/tenant/{lived_in['admin/capabilities/tenant/']}/", "change tenant capability"),
        (f"/admin/capabilities/user/{lived_in['admin/capabilities/user/']}/", ""),
        (f"/admin/support/{lived_in['admin/support/']}/", "view person"),
        ("/admin/capabilities/of/mfa/", ""),
    ):
        page = root.get(address).content.decode()
        [link] = re.findall(
            r'href="(/admin/audit/event/\?object_type=[^"]+object_id=[^"]+)"[^>]*>.{0,120}History', page, re.DOTALL
        )
        assert said in words(root.get(html.unescape(link))), address
