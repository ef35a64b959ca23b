"""Plans that cannot be carried out: each is refused before anything begins, with what is wrong, where, and what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from migration_portal.plan.errors import PlanError
from migration_portal.runs.models import Run
from migration_portal.runs.start import start
from tests import builders
from tests.stack import furnished
from tests.world import World

NAME = 'full_name = "full_name"'
USERS = 'source = "users"\ntarget = "users"\nkey = ["id"]\ntenant = "tenant_id"\n'
SECRET = 'secret = ["hashed_password", "mfa_secret_encrypted", "refresh_token"]\n'
LICENCES = '[[tables]]\nsource = "licenses"'
READS = f"{SECRET}[tables.reads.licenses]\n"


def row(target: str, **columns: Any) -> str:
    named = "".join(f"{name} = '{sql}'\n" for name, sql in columns.items())
    return f'[[rows]]\ntarget = "{target}"\n[rows.columns]\n{named}'


def looked_up(table: str = "roles", **changed: str) -> str:
    said = {"lookup": table, "by": "name", "value": "full_name", **changed}
    return f"full_name = {{ {', '.join(f'{name} = {json.dumps(value)}' for name, value in said.items() if value)} }}"


BROKEN = {
    # What is replaced, by what; whose fault it is, and why.
    "not TOML": (NAME, "full_name = ", "plan.toml", "not valid TOML.*line \\d+"),
    "no tables": ("*", 'name = "empty"', "plan.toml", "lists no tables"),
    "an unknown setting": (USERS, f"{USERS}colour = 1\n", "table 3", "Unknown setting: colour"),
    "an unknown section": ("[tables.quality.odd_timestamp]", "[tables.qualities.odd]", "table 3", "Unknown setting: qualities"),
    "no key": (USERS, USERS.replace('key = ["id"]\n', ""), "table 3", "'key' is missing"),
    "no source": (USERS, USERS.replace('source = "users"\n', ""), "table 3", "'source' is missing"),
    "a target filled twice": ('target = "tenant_settings"', 'target = "tenants"', "plan.toml", "Filled more than once: tenants"),
    "an expression and a default": ("email_verified = false", 'bio = "x"', "table 3", "bio has an expression and a default"),
    "no expression": (NAME, 'full_name = " "', "table 3", "'full_name' needs an SQL expression"),
    "a rule that is none": ("[tables.quality.odd_timestamp]\nsql", "[tables.quality.odd_timestamp]\nsqll", "table 3", "sqll"),
    "a tenant that is not mapped": ('tenant = "tenant_id"\nsecret', 'tenant = "owner"\nsecret', "table 3", "owner is not mapped"),
    "a parent that is odd": ('tenant = "tenant_id"\nsecret', 'tenant_through = "users"\nsecret', "table 3", "tenant_through"),
    "a parent that is none": (
        'tenant = "tenant_id"\nsecret', 'tenant_through = { roles = "id" }\nsecret', "users, tenant_through", "roles is no table",
    ),
    "lossy without a way back": (SECRET, f'{SECRET}lossy = ["nick"]\n', "table 3", "no reverse expression: nick"),
    "a table read without a link": (SECRET, f"{READS}ignored = []\n", "reads.licenses", "'link' is missing"),
    "a link to another key": (SECRET, f'{READS}link = {{ tenant_id = "x" }}\n', "reads.licenses", "must name columns of the key"),
    "a table read that is none": (
        SECRET, f'{SECRET}[tables.reads.passwords]\nlink = {{ user_id = "id" }}\n', "passwords", "no such table",
    ),
    "a link that is no column": (SECRET, f'{READS}link = {{ owner = "id" }}\n', "licenses.owner", "does not exist"),
    "a source that is none": (USERS, USERS.replace('source = "users"', 'source = "people"'), "people", "no such table"),
    "a target that is none": (USERS, USERS.replace('target = "users"', 'target = "people"'), "people", "no such table"),
    "a key that is no column": (USERS, USERS.replace('["id"]', '["uid"]'), "users.uid", "does not exist"),
    "a key that is not unique": (USERS, USERS.replace('["id"]', '["username"]'), "users", "not unique by .username."),
    "a column that the IAM lacks": (NAME, 'fullname = "full_name"', "users.fullname", "does not have"),
    "a column that must be filled": (
        'hashed_password = "hashed_password"\n', "", "users.hashed_password", "NOT NULL and the plan gives it no",
    ),
    "a primary key that is not filled": ('id = "id::uuid"\ntenant_id', "tenant_id", "users", "does not fill the primary key"),
    "a parent that comes later": ("*", "later", "users", "refers to tenants, which the plan fills only later"),
    "a row of no table": (LICENCES, f"[[rows]]\ncolumns = {{ a = 1 }}\n{LICENCES}", "row 1", "'target' is missing"),
    "a row of a table that the plan fills": (
        LICENCES, row("users", id=1) + LICENCES, "plan.toml", "Filled by rows and by a table: users",
    ),
    "a row of a table that is none": (LICENCES, row("groups", id=1) + LICENCES, "groups", "no such table"),
    "a row without its key": (
        LICENCES, row("roles", name=1) + LICENCES, "roles", "does not fill the primary key .id",
    ),
    "a row that must have more": (
        LICENCES, row("permissions", id=1) + LICENCES, "permissions.name", "NOT NULL and the plan gives it no",
    ),
    "a row that cannot be computed": (
        LICENCES, row("roles", id="gen(1)", name=1) + LICENCES, "roles.id",
        "The IAM cannot compute it: function gen.* does not exist",
    ),
    "a look-up without a value": (NAME, looked_up(value=""), "table 3, full_name", "'value' is missing"),
    "a look-up with something else": (NAME, looked_up(colour="red"), "table 3, full_name", "Unknown setting: colour"),
    "a look-up in no table": (NAME, looked_up("groups"), "groups.name", "no such table and column"),
    "a look-up by no column": (NAME, looked_up(by="title"), "roles.title", "no such table and column"),
    "a look-up in what the plan fills": (NAME, looked_up("tenants"), "plan.toml", "Looked up, and filled by the plan: tenants"),
    "a look-up that finds two": (
        NAME, looked_up("permissions", by="resource", where="name <> 'licenses:read'"), "permissions.resource",
        "Two rows of the IAM say 'profile'",
    ),
    "a look-up among what cannot be asked": (
        NAME, looked_up(where="tenant IS NULL"), "roles.name", "The IAM cannot look it up: column .tenant. does not exist",
    ),
    "a look-up that ends its statement": (
        NAME, looked_up(where="true); DELETE FROM roles; --"), "roles.name", "The IAM cannot look it up: ",
    ),
    "a look-up of a value that is none": (
        NAME, looked_up(value="nick"), "users.full_name", 'Legacy cannot compute it: column "nick" does not exist',
    ),
    "a tenant that is looked up": (
        'tenant_id = "tenant_id::uuid"\nemail', looked_up().replace("full_name", "tenant_id") + "\nemail", "table 3",
        "The tenant column tenant_id is looked up",
    ),
    "a syntax error": (NAME, 'full_name = "upper(full_name"', "users.full_name", "Legacy cannot compute it: syntax error"),
    "an unknown column": (NAME, 'full_name = "fullname"', "users.full_name", 'column "fullname" does not exist'),
    "an unknown function": (NAME, 'full_name = "titled(full_name)"', "users.full_name", "function titled.* does not exist"),
    "a cast that is none": (NAME, 'full_name = "full_name::person"', "users.full_name", 'type "person" does not exist'),
    "types that do not fit": ('is_active = "is_active"', 'is_active = "created_at"', "is_active", "cannot cast"),
    "a literal that does not fit": ("email_verified = false", "email_verified = \"'perhaps'\"", "email_verified", "invalid input"),
    "a rule of an unknown column": ('id_not_uuid = { uuid = "id" }', 'odd = "idd = 1"', "odd", 'column "idd" does not exist'),
    "a rule that is no predicate": ('id_not_uuid = { uuid = "id" }', 'odd = "full_name"', "odd", "must be type boolean"),
    "a way back to no column": ("*", "back", "users.nick", "fills a legacy column that does not exist"),
    "a way back without the key": ("*", "keyless", "users.id", "does not fill the key"),
    "a way back that leaves a column empty": ("*", "nameless", "users.hashed_password", "NOT NULL and the reverse section"),
}  # fmt: skip


def _written(text: str, old: str, new: str) -> str:
    users = text.index('source = "users"')
    back = text.index("[tables.reverse]", users)
    if new == "later":
        first, second = (text.index("[[tables]]", place) for place in (0, users - 20))
        end = text.index("[[tables]]", second + 1)
        return text[:first] + text[second:end] + text[first:second] + text[end:]
    if new == "back":
        return text[:back] + text[back:].replace("[tables.reverse]", '[tables.reverse]\nnick = "username"', 1)
    if new in ("keyless", "nameless"):
        dropped = {"keyless": 'id = "id::text"\n', "nameless": 'hashed_password = "hashed_password"\n'}[new]
        return text[:back] + text[back:].replace(dropped, "", 1)
    if old == "*":
        return new
    start = text.index("[[tables]]", users - 20) if text.find(old, users - 20) >= 0 else 0
    assert old in text[start:], old
    return text[:start] + text[start:].replace(old, new, 1)


@furnished
def legacy_only(world: World) -> None:
    builders.legacy_tables(world)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plan_is_refused_before_anything_begins(
    legacy_only: None, kind: str, tmp_path: Path, settings: Any
) -> None:
    old, new, subject, why = BROKEN[kind]
    path = tmp_path / "plan.toml"
    path.write_text(_written(Path(settings.MIGRATION_PLAN).read_text(), old, new))
    with pytest.raises(PlanError) as refused:
        start(by="tester", capture=True, plan_path=path)
    assert subject in refused.value.subject and re.search(why, refused.value.what), (
        refused.value.subject,
        refused.value.what,
    )
    assert refused.value.todo, "it says nothing of what to do"
    assert not Run.objects.exists()


def test_an_expression_that_legacy_cannot_compute_is_told_with_its_line(
    legacy_only: None, tmp_path: Path, settings: Any
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(_written(Path(settings.MIGRATION_PLAN).read_text(), NAME, 'full_name = "fullname"'))
    with pytest.raises(PlanError) as refused:
        start(by="tester", plan_path=path)
    number = path.read_text().splitlines().index('full_name = "fullname"') + 1
    assert f"Correct line {number} of the plan: full_name = fullname" in refused.value.todo
