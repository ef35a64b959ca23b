"""Random schemas and plans, there and back, are what a reference interpreter of the plan in Python says they are.

`PORTAL_TEST_PLANS` says how many are tried; `make endure` tries more than the suite.
"""

from __future__ import annotations

import itertools
import os
from copy import deepcopy
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine.catchup.batches import MOST_ATTEMPTS
from migration_portal.inventory.preflight import preflight
from migration_portal.runs.models import QuarantinedRow
from tests import builders
from tests.cutover.moves import both_loops, iam, legacy, moved
from tests.journeys.random_plans import TENANTS, Kept, Row, Rows, Schema, Table, key, row, schemas
from tests.servers import WORKER, drop
from tests.stack import DATABASES, inhabited
from tests.world import World

MANY = int(os.environ.get("PORTAL_TEST_PLANS", "2"))
_count = itertools.count()


def rows_of(connection: psycopg.Connection[Any], name: str) -> dict[Any, Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return {found.pop("id"): found for found in cursor.execute(f"SELECT * FROM {name}").fetchall()}


def here(world: World, schema: Schema) -> Rows:
    with world.iam() as connection:
        found = {table.name: rows_of(connection, table.here) for table in schema.tables}
    for rows in found.values():
        for each in rows.values():
            each["tenant_id"] = str(each["tenant_id"])
    return found


def there(world: World, schema: Schema) -> Rows:
    with world.legacy() as connection:
        return {table.name: rows_of(connection, table.name) for table in schema.tables}


def put(connection: psycopg.Connection[Any], name: str, id: Any, values: Row) -> None:
    said = {"id": id} | {column: Jsonb(value) if isinstance(value, dict) else value for column, value in values.items()}
    changed = ", ".join(f"{column} = excluded.{column}" for column in said)
    connection.execute(
        f"INSERT INTO {name} ({', '.join(said)}) VALUES ({', '.join(['%s'] * len(said))})"
        f" ON CONFLICT (id) DO UPDATE SET {changed}",
        list(said.values()),
    )


def put_there(connection: psycopg.Connection[Any], table: Table, id: Any, values: Row | None) -> None:
    """The row as it is in legacy from now on, in the table that it is of; None where it goes."""
    home = table.homes[0 if not table.split or (values and values["side"]) else 1]
    for other in table.homes:
        if values is None or other != home:
            connection.execute(f"DELETE FROM {other} WHERE id = %s", [id])  # type: ignore[arg-type]
    if values is not None:
        put(connection, home, id, {name: value for name, value in values.items() if name != "side"})


def written(world: World, schema: Schema) -> None:
    """Both databases' tables, and legacy's rows."""
    legacy(world, schema.legacy_sql())
    iam(world, schema.iam_sql())
    with world.legacy() as connection:
        for number, tenant in enumerate(TENANTS):
            connection.execute("INSERT INTO orgs VALUES (%s, %s)", [tenant, f"org {number}"])
        for table in schema.tables:
            for id, values in schema.rows[table.name].items():
                put_there(connection, table, id, values)


def changed(data: st.DataObject, world: World, schema: Schema) -> None:
    """Rows of legacy come, change and go; but no parent leaves its children, for which the IAM would keep it.

    Nor do rows of which the IAM wants no two alike: who is there then depends on who came first.
    """
    free = [table for table in schema.tables if not table.unique]
    if not free:
        return
    begun = schema.expected()[0]
    for _ in range(data.draw(st.integers(0, 6), label="changes in legacy")):
        table = data.draw(st.sampled_from(free))
        id = key(table, data.draw(st.integers(0, 8)))
        values = data.draw(st.none() | row(schema, table))
        before, was = schema.rows[table.name].get(id), schema.expected(begun)[0]
        schema.rows[table.name].pop(id, None)
        if values is not None:
            schema.rows[table.name][id] = values
        if id not in schema.expected(begun)[0][table.name] and _has_children(schema, table, id, was):
            assert before is not None
            schema.rows[table.name][id] = before
            continue
        with world.legacy() as connection:
            put_there(connection, table, id, values)


def corrected(world: World, schema: Schema, begun: Rows, arrived: Rows, kept: Kept) -> None:
    """Rows of which the IAM keeps what they were become again what they were: with another there no tenant may move."""
    with world.legacy() as connection:
        for table in schema.tables:
            for id in arrived[table.name].keys() & kept[table.name].keys():
                schema.rows[table.name][id] = begun[table.name][id]
                put_there(connection, table, id, begun[table.name][id])


def _has_children(schema: Schema, table: Table, id: Any, arrived: Rows) -> bool:
    return any(
        each.parent == table.name and child["parent"] == id
        for each in schema.tables
        for child in arrived[each.name].values()
    )


def edited(data: st.DataObject, world: World, schema: Schema, kept: Kept) -> None:
    """Rows of the IAM come, change and go; `schema` has what must become of legacy."""
    for _ in range(data.draw(st.integers(0, 6), label="changes in the IAM")):
        table = data.draw(st.sampled_from(schema.tables))
        rows = [id for id in here(world, schema)[table.name] if id not in kept[table.name]]
        id = data.draw(st.sampled_from([*rows, key(table, 50)]))
        news = _news(data, world, schema, table)
        with world.iam() as connection:
            if id in rows and data.draw(st.booleans(), label="goes"):
                try:
                    connection.execute(f"DELETE FROM {table.here} WHERE id = %s", [id])
                except psycopg.errors.ForeignKeyViolation:
                    continue
                del schema.rows[table.name][id]
                continue
            try:
                put(connection, table.here, id, news)
            except psycopg.errors.UniqueViolation:
                continue
        was = schema.rows[table.name].get(id)
        now = {"org": news["tenant_id"]} | ({"parent": news["parent"]} if table.parent else {})
        if table.split:
            now["side"] = news["side"]
            was = was if was and was["side"] == now["side"] else None  # the other table knows nothing of it
        for column in table.columns:
            same = was is not None and news[column.name] == column.forward(was[column.name])
            now[column.name] = was[column.name] if was and same else column.reverse(news[column.name])
        schema.rows[table.name][id] = now


def _news(data: st.DataObject, world: World, schema: Schema, table: Table) -> Row:
    values: dict[str, st.SearchStrategy[Any]] = {"tenant_id": st.sampled_from(TENANTS)}
    if table.split:
        values["side"] = st.booleans()
    if table.parent:
        values["parent"] = st.sampled_from([None, *here(world, schema)[table.parent]])
    for column in table.columns:
        values[column.name] = column.way.news if column.required else st.none() | column.way.news
    return data.draw(st.fixed_dictionaries(values))


def quarantined(schema: Schema) -> dict[str, dict[Any, str]]:
    found: dict[str, dict[Any, str]] = {table.name: {} for table in schema.tables}
    for each in QuarantinedRow.objects.filter(state="open"):
        table = next(table for table in schema.tables if table.here == each.table_name)
        [id] = each.source_key
        found[table.name][int(id) if table.key == "bigint" else id] = each.reason
    return found


def settled(world: World) -> None:
    """Until what collides has been tried often enough, without the minute that this takes."""
    for _ in range(MOST_ATTEMPTS + 1):
        both_loops()
        legacy(world, "UPDATE portal_capture.queue SET not_before = now()")
    assert legacy(world, "SELECT count(*) FROM portal_capture.queue") == [(0,)]


def agrees(found: dict[str, dict[Any, str]], kept: Kept) -> bool:
    """The same rows are kept back, each for a reason that it may be."""
    return all(
        found[name].keys() == reasons.keys() and all(found[name][id] in reasons[id] for id in reasons)
        for name, reasons in kept.items()
    )


def story(data: st.DataObject, world: World, schema: Schema) -> None:
    written(world, schema)
    arrived, kept = schema.expected()
    foretold = {entry["source"]: entry for entry in preflight()["completeness"]}
    for table in schema.tables:
        if not foretold[table.name]["error"]:
            assert sum(rule["count"] for rule in foretold[table.name]["rejected"]) == len(kept[table.name])
    run = builders.migrated(world, capture=True)
    assert run.state == "completed", run.error
    assert here(world, schema) == arrived and agrees(quarantined(schema), kept)
    begun = deepcopy(schema.rows)
    changed(data, world, schema)
    settled(world)
    arrived, kept = schema.expected(arrived)
    assert here(world, schema) == arrived and agrees(quarantined(schema), kept)
    corrected(world, schema, begun, arrived, kept)
    settled(world)
    arrived, kept = schema.expected(arrived)
    assert here(world, schema) == arrived and agrees(quarantined(schema), kept)
    builders.decided()
    sync_tenants()
    for tenant in TENANTS:
        assert moved(tenant).error == ""
    edited(data, world, schema, kept)
    both_loops()
    assert there(world, schema) == schema.rows
    for tenant in TENANTS:
        assert moved(tenant, "legacy").error == ""
    assert there(world, schema) == schema.rows


@seed(1)
@settings(
    max_examples=MANY, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(data=st.data(), schema=schemas())
def test_random_plans_are_what_the_reference_interpreter_says(
    templates: tuple[str, str], django_db_blocker: Any, tmp_path_factory: Any, data: st.DataObject, schema: Schema
) -> None:
    from django.conf import settings as ours

    world = World(f"random_{WORKER}_{next(_count)}")
    plan, ours.MIGRATION_PLAN = ours.MIGRATION_PLAN, Path(tmp_path_factory.mktemp("plan")) / "plan.toml"
    ours.MIGRATION_PLAN.write_text(schema.plan())
    try:
        with django_db_blocker.unblock(), inhabited(world, *templates):
            story(data, world, schema)
    finally:
        ours.MIGRATION_PLAN = plan
        for database in DATABASES:
            drop(f"{world.name}_{database}")
