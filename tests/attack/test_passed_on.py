"""Unique values that are passed on: what others do that refer to them, and values for a moment that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from migration_portal.cutover import resolve
from migration_portal.cutover.models import Stray
from tests.attack.test_harder_schemas import waits
from tests.attack.test_hardest import swapped
from tests.attack.test_links_and_keys import KEYS, LICENCES, add, both_loops, told
from tests.attack.test_views import begun
from tests.attack.test_yet_harder import HELD_BY
from tests.cutover.moves import both_loops as loops
from tests.cutover.moves import iam, legacy, moved
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import org, person, unlike
from tests.journeys.other_schemas import plan as plan
from tests.world import World

BUYER = "buyer uuid REFERENCES people ON DELETE CASCADE"
OF_BOLT = "INSERT INTO licence_keys (org, key, buyer) SELECT id, code, 'ann' FROM orgs WHERE code = 'bolt'"


def again(world: World, times: int = 8) -> None:
    """Follow, and try what waits as often as it is tried at all."""
    for _ in range(times):
        loops()
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
        if iam(world, "SELECT to_regclass('portal_capture.queue')") != [(None,)]:
            iam(world, "UPDATE portal_capture.queue SET not_before = now()")
    loops()


def anns_mail_is_bobs(side: Connection[Any], people: str, login: str, mail: str) -> None:
    """Ann goes and Bob gets her mail, in one transaction."""
    with side as there, there.transaction():
        there.execute(f"DELETE FROM {people} WHERE {login} = 'ann'")
        there.execute(f"UPDATE {people} SET {mail} = 'ann' WHERE {login} = 'bob'")


SILENT = (
    "CREATE FUNCTION n() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE TRIGGER n AFTER INSERT OR UPDATE OR DELETE ON people FOR EACH ROW EXECUTE FUNCTION n()",
)


@pytest.mark.parametrize(
    ("rule", "triggers"),
    [("ON UPDATE CASCADE", ()), ("ON UPDATE SET NULL", ()), ("ON UPDATE CASCADE ON DELETE RESTRICT", ()), ("", SILENT)],
    ids=["cascade", "set null", "restrict", "silent"],
)
def test_who_goes_and_lets_go_of_a_mail_that_others_follow_takes_nothing_from_them(
    world: World, joined: Any, settings: Any, rule: str, triggers: tuple[str, ...]
) -> None:
    """In legacy a licence of bolt's, at home in legacy, names its buyer by mail. In the IAM acme's Ann goes and Bob gets hers."""
    joined()
    add(settings, LICENCES)
    legacy(world, "ALTER TABLE people ADD UNIQUE (mail)")
    legacy(world, KEYS.replace(BUYER, f"buyer text REFERENCES people (mail) {rule}"))
    for statement in triggers:
        legacy(world, statement)
    person(world, "ann")
    person(world, "bob")
    legacy(world, OF_BOLT)
    begun(world)
    assert moved(org(world, "acme")).error == ""
    anns_mail_is_bobs(world.iam(), "users", "username", "email")
    both_loops()
    whose = "SELECT k.buyer, p.login FROM licence_keys k LEFT JOIN people p ON p.mail = k.buyer"
    assert legacy(world, whose) == [("ann", "ann")], (legacy(world, "SELECT login, mail FROM people"), waits())


def holders_by_mail(world: World, settings: Any) -> None:
    """A licence of the IAM's names its holder by mail, and follows when that changes."""
    iam(world, "ALTER TABLE users ADD UNIQUE (email)")
    iam(world, "ALTER TABLE licenses ADD holder varchar(255) REFERENCES users (email) ON UPDATE CASCADE")
    add(settings, HELD_BY)
    legacy(world, KEYS.replace(BUYER, "buyer text"))


def test_who_goes_forward_and_lets_go_of_a_mail_that_others_follow_takes_nothing_from_them(
    world: World, settings: Any, joined: Any
) -> None:
    joined()
    holders_by_mail(world, settings)
    person(world, "ann")
    person(world, "bob")
    person(world, "dan", org="bolt")
    legacy(world, OF_BOLT)
    run = begun(world)
    assert moved(org(world, "bolt")).error == ""
    anns_mail_is_bobs(world.legacy(), "people", "login", "mail")
    loops()
    whose = "SELECT k.holder, p.username FROM licenses k LEFT JOIN users p ON p.email = k.holder"
    assert iam(world, whose) == [("ann", "ann")], (iam(world, "SELECT username, email FROM users"), told(run), waits())


@pytest.mark.parametrize("anns_next", ["bob", "new"], ids=["a swap", "a chain"])
def test_the_iams_own_rows_follow_those_who_pass_on_their_mails(world: World, joined: Any, anns_next: str) -> None:
    """A table that the IAM alone has refers to users by mail, ON UPDATE CASCADE."""
    joined()
    iam(world, "ALTER TABLE users ADD UNIQUE (email)")
    iam(world, "CREATE TABLE badges (id int PRIMARY KEY, mail varchar(255) REFERENCES users (email) ON UPDATE CASCADE)")
    ann, bob = person(world, "ann"), person(world, "bob")
    begun(world)
    iam(world, "INSERT INTO badges VALUES (1, 'ann'), (2, 'bob')")
    with world.legacy() as there, there.transaction():
        there.execute("UPDATE people SET mail = %s WHERE id = %s", [anns_next, ann])
        there.execute("UPDATE people SET mail = 'ann' WHERE id = %s", [bob])
    loops()
    whose = "SELECT b.id, u.username FROM badges b LEFT JOIN users u ON u.email = b.mail ORDER BY 1"
    assert iam(world, whose) == [(1, "ann"), (2, "bob")], iam(world, "SELECT username, email FROM users")


def test_a_row_that_waits_keeps_what_it_refers_to_by_a_mail_that_is_passed_on(
    world: World, settings: Any, joined: Any
) -> None:
    """Ann and Bob swap mails; Ann's licence, which names her by mail, changes with her, and waits for another reason."""
    joined()
    holders_by_mail(world, settings)
    ann, bob = person(world, "ann"), person(world, "bob")
    legacy(world, "INSERT INTO licence_keys (org, key, buyer) SELECT id, 'k', 'ann' FROM orgs WHERE code = 'acme'")
    begun(world, guarded=False)
    iam(world, "INSERT INTO licenses (tenant_id, license_key) SELECT id, 'taken' FROM tenants WHERE slug = 'acme'")
    with world.legacy() as there, there.transaction():
        there.execute("UPDATE people SET mail = 'bob' WHERE id = %s", [ann])
        there.execute("UPDATE people SET mail = 'ann' WHERE id = %s", [bob])
        there.execute("UPDATE licence_keys SET buyer = 'bob', key = 'taken'")
    loops()
    whose = "SELECT u.username FROM licenses l LEFT JOIN users u ON u.email = l.holder WHERE license_key = 'k'"
    assert iam(world, whose) == [("ann",)], (iam(world, "SELECT license_key, holder FROM licenses"), waits())


@pytest.mark.parametrize(
    "kind", ["TYPE varchar(30)", "TYPE citext", "TYPE char(20)", "SET NOT NULL, ADD CHECK (login ~ '^[a-z ]+$')"]
)
def test_two_who_swap_logins_in_the_iam_swap_them_in_legacy(world: World, joined: Any, kind: str) -> None:
    joined()
    legacy(world, "CREATE EXTENSION IF NOT EXISTS citext")
    legacy(world, f"ALTER TABLE people ALTER login {kind}")
    person(world, "ann")
    person(world, "bob")
    begun(world)
    assert moved(org(world, "acme")).error == ""
    swapped(world, world.iam, "users", "username", "ann", "bob", "username")
    again(world, 3)
    assert legacy(world, "SELECT trim(login::text), mail FROM people ORDER BY 2") == [("bob", "ann"), ("ann", "bob")]


@pytest.mark.parametrize(
    ("there", "here", "one", "two"),
    [
        ("integer, ADD UNIQUE NULLS NOT DISTINCT (badge)", "integer", 1, 2),
        ("smallint NOT NULL UNIQUE CHECK (badge > 0)", "integer", 1, 2), ("bigint NOT NULL UNIQUE", "bigint", 1, 2),
        ("varchar(20) NOT NULL UNIQUE", "text", "a", "b"),
    ],
)  # fmt: skip
def test_two_who_swap_badges_in_legacy_swap_them_in_the_iam(
    world: World, joined: Any, there: str, here: str, one: Any, two: Any
) -> None:
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nbadge = "badge"\n'),
        ('active = "is_active"', 'active = "is_active"\nbadge = "badge"'),
    )
    legacy(world, f"ALTER TABLE people ADD badge {here}")
    iam(world, f"ALTER TABLE users ADD badge {there}")
    ann, bob = person(world, "ann"), person(world, "bob")
    both = "UPDATE people SET badge = CASE WHEN id = %s THEN %s ELSE %s END"
    legacy(world, both, ann, one, two)
    run = begun(world, guarded=False)
    legacy(world, both, bob, one, two)
    again(world)
    assert iam(world, "SELECT username, badge FROM users ORDER BY 1") == [("ann", two), ("bob", one)], told(run)


def test_a_swap_for_which_no_value_is_free_for_a_moment_waits_and_says_for_what(world: World, joined: Any) -> None:
    joined()
    legacy(world, "ALTER TABLE people ADD CHECK (login IN ('ann', 'bob'))")
    person(world, "ann")
    person(world, "bob")
    begun(world)
    assert moved(org(world, "acme")).error == ""
    swapped(world, world.iam, "users", "username", "ann", "bob", "username")
    loops()
    assert {error for (error,) in iam(world, "SELECT error FROM portal_capture.queue")} == {"people_login_key"}


@pytest.mark.parametrize("verb", [resolve.accept, resolve.restore])
def test_two_strays_that_swapped_their_logins_are_decided_together(world: World, joined: Any, verb: Any) -> None:
    """acme lives in the IAM, the guard is off, and legacy swaps two logins: each is in the other's way."""
    joined()
    person(world, "ann")
    person(world, "bob")
    begun(world, guarded=False)
    assert moved(org(world, "acme")).error == ""
    swapped(world, world.legacy, "people", "login", "ann", "bob", "login")
    both_loops()
    first = Stray.objects.filter(state="open")[0]
    with pytest.raises(resolve.InItsWay, match="tick both"):
        verb(first, by="t", reason="r")
    assert resolve.decide_each(verb, Stray.objects.filter(state="open"), by="t", reason="r") == (2, {})
    both_loops()
    assert unlike(world) == set() and not Stray.objects.filter(state="open").exists()
