"""What is looked up again when something arrives: not for ever; and strays of which some cannot be decided."""

from __future__ import annotations

from typing import Any

import pytest

from migration_portal.audit.models import Event
from migration_portal.cutover import resolve
from migration_portal.cutover.models import Stray
from migration_portal.runs.models import QuarantinedRow
from migration_portal.runs.retry import discard_rows
from tests.attack.test_hardest import LOWER, RULE, swapped
from tests.attack.test_links_and_keys import both_loops, told, use
from tests.attack.test_passed_on import again
from tests.attack.test_views import begun
from tests.attack.test_yet_harder import LOGINS
from tests.cutover.moves import iam, legacy, moved
from tests.journeys.other_schemas import ONE, org, organizations, person
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import plan as plan
from tests.world import World

ANN, BEA, GONE = (f"5f0c0000-0000-4000-8000-0000000000{end}" for end in ("0b", "0d", "ff"))
BOSSES = f"""
[[tables]]
source = "people"
target = "licenses"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = "id::uuid"
tenant_id = "'{ONE}'::uuid"
license_key = "id"
holder = "boss::uuid"
"""
LAST = "SELECT last_value FROM portal_capture.queue_id_seq"


def test_a_row_whose_own_other_half_is_an_orphan_is_not_looked_up_for_ever(
    world: World, settings: Any, tmp_path: Any
) -> None:
    """People make users, and licences that their bosses hold; Ann's boss is gone: her licence is in quarantine, she is not."""
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text, boss text)")
    iam(world, "ALTER TABLE licenses ADD holder uuid REFERENCES users")
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + RULE + BOSSES)
    organizations(world, ONE)
    legacy(world, "INSERT INTO people VALUES (%s, 'ann', %s)", ANN, GONE)
    begun(world, guarded=False)
    legacy(world, "UPDATE people SET mail = 'new' WHERE id = %s", ANN)
    again(world, 2)
    first = legacy(world, LAST)
    again(world, 1)
    assert legacy(world, LAST) == first


def of_ids(name: str, made: tuple[str, str]) -> str:
    """Two tables of one: by its id, and by whose it is."""
    text = f"""
[[tables]]
source = "{name}"
target = "%s"
key = ["id"]
tenant = "tenant_id"
[tables.columns]
id = "id::uuid"
tenant_id = "'{ONE}'::uuid"
%s
[tables.reject]
odd = {{ uuid = "%s" }}
"""
    return text % (made[0], 'word = "word"', "id") + text % (made[1], 'holder = "boss::uuid"', "boss")


def test_two_tables_that_share_ids_do_not_release_each_others_twins_for_ever(
    world: World, settings: Any, tmp_path: Any
) -> None:
    """Ann is of the staff and a clerk, by one id. Her boss was kept back as a twin, and with him her desk and her chair."""
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    plans = LOGINS % ('"id"', "id::uuid") + RULE
    for name, made in {"staff": ("badges", "desks"), "clerks": ("posts", "chairs")}.items():
        legacy(world, f"CREATE TABLE {name} (id text PRIMARY KEY, word text, boss text)")
        iam(world, f"CREATE TABLE {made[0]} (id uuid PRIMARY KEY, tenant_id uuid REFERENCES tenants, word text)")
        holder = "holder uuid REFERENCES users"
        iam(world, f"CREATE TABLE {made[1]} (id uuid PRIMARY KEY, tenant_id uuid REFERENCES tenants, {holder})")
        plans += of_ids(name, made)
    use(settings, tmp_path, plans)
    organizations(world, ONE)
    legacy(world, "INSERT INTO people VALUES (%s, 'lower'), (%s, 'upper')", LOWER, LOWER.upper())
    begun(world, guarded=False)
    [boss] = {row.source_key[0] for row in QuarantinedRow.objects.filter(table_name="users")}
    for name in ("staff", "clerks"):
        legacy(world, f"INSERT INTO {name} VALUES (%s, 'word', %s)", ANN, boss)
    again(world, 3)
    first = legacy(world, LAST)
    again(world, 3)
    assert legacy(world, LAST) == first


@pytest.mark.parametrize("when", ["copy", "catch-up"])
@pytest.mark.parametrize("what", ["a licence of the same row", "the row itself"])
def test_a_reference_to_a_twin_of_the_same_table_does_not_go_to_its_namesake(
    world: World, settings: Any, tmp_path: Any, when: str, what: str
) -> None:
    """Bea's boss was kept back; what names him (of people, too) is not to name the other, who has his id in the IAM."""
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text, boss text REFERENCES people)")
    iam(world, "ALTER TABLE licenses ADD holder uuid REFERENCES users")
    iam(world, "ALTER TABLE users ADD boss uuid REFERENCES users")
    itself = what == "the row itself"
    use(
        settings,
        tmp_path,
        LOGINS % ('"id"', "id::uuid") + ('boss = "boss::uuid"\n' + RULE if itself else RULE + BOSSES),
    )
    organizations(world, ONE)
    legacy(world, "INSERT INTO people VALUES (%s, 'lower'), (%s, 'upper')", LOWER, LOWER.upper())

    def two_more() -> None:
        for id, boss in ((ANN, "lower"), (BEA, "upper")):
            legacy(world, "INSERT INTO people SELECT %s, right(%s, 1), id FROM people WHERE mail = %s", id, id, boss)

    if when == "copy":
        two_more()
    run = begun(world, guarded=False)
    if when == "catch-up":
        two_more()
        again(world, 2)
    there = legacy(world, "SELECT p.id, b.mail FROM people p JOIN people b ON b.id = p.boss")
    of_users = "SELECT u.id::text, b.email FROM users u JOIN users b ON b.id = u.boss"
    of_licences = "SELECT l.id::text, b.email FROM licenses l JOIN users b ON b.id = l.holder"
    here = iam(world, of_users if itself else of_licences)
    assert here and set(here) < set(there), (there, here, told(run))


def test_strays_that_cannot_be_decided_keep_none_of_the_others_and_are_as_they_were(world: World, joined: Any) -> None:
    """acme lives in the IAM. In legacy Ann and Bob swap logins, and Cat takes Dan's mail, which must be another in the IAM."""
    joined()
    iam(world, "ALTER TABLE users ADD UNIQUE (email)")
    for name in ("ann", "bob", "cat", "dan"):
        person(world, name)
    begun(world, guarded=False)
    assert moved(org(world, "acme")).error == ""
    swapped(world, world.legacy, "people", "login", "ann", "bob", "login")
    legacy(world, "UPDATE people SET mail = 'dan' WHERE login = 'cat'")
    both_loops()
    strays = Stray.objects.filter(state="open")
    assert len(strays) == 3
    done, refused = resolve.decide_each(resolve.accept, strays, by="t", reason="r")
    assert (done, refused.total()) == (2, 1)
    users = iam(world, "SELECT username, email FROM users ORDER BY email")
    assert users == [("bob", "ann"), ("ann", "bob"), ("cat", "cat"), ("dan", "dan")]
    assert Event.objects.filter(verb="accept_stray").count() == 2 and Stray.objects.filter(state="open").count() == 1


def test_a_discarded_double_stays_discarded_when_it_comes_by_catch_up(
    world: World, settings: Any, tmp_path: Any
) -> None:
    legacy(world, "CREATE TABLE people (id text PRIMARY KEY, mail text)")
    legacy(world, "INSERT INTO people VALUES (%s, 'lower'), (%s, 'upper')", LOWER, LOWER.upper())
    use(settings, tmp_path, LOGINS % ('"id"', "id::uuid") + RULE)
    organizations(world, ONE)
    begun(world, guarded=False)
    row = QuarantinedRow.objects.get()
    discard_rows([row], by="t", reason="r")
    legacy(world, "UPDATE people SET mail = 'x' WHERE id = %s", row.source_key[0])
    again(world)
    row.refresh_from_db()
    assert row.state == "discarded"
