"""What else one would reach for: each peer copies from the same legacy database, and says which path it took."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import psycopg
from psycopg.sql import SQL, Identifier

from bench.setup import TABLES, Result, Setup, count, tool
from config import embedded
from config.embedded import postgres

BULK_SHARE = 0.1
ROW_SHARE = 0.01
"""Slow peers copy these shares of the users and licences; their rows/s are what is compared."""


def psql(setup: Setup) -> Result:
    """One stream of binary COPY per table, into the constrained schema."""
    iam = setup.fresh_iam()
    started = time.monotonic()
    for table in TABLES:
        columns, select = setup.mapping(table)
        reader = [tool("psql"), "-Xq", setup.legacy_url, "-c", f"COPY ({select}) TO STDOUT (FORMAT binary)"]
        writer = [tool("psql"), "-Xq", iam, "-v", "ON_ERROR_STOP=1", "-c"]
        writer.append(f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)")
        with subprocess.Popen(reader, stdout=subprocess.PIPE) as source:
            subprocess.run(writer, stdin=source.stdout, check=True)
    seconds = time.monotonic() - started
    return Result("psql COPY | psql COPY", setup.rows, seconds, "one stream, binary, mapped", setup.compare())


def dump_restore(setup: Setup) -> Result:
    """pg_dump -Fd -j2 of mapped copies, then pg_restore -j2 of the data into the constrained schema."""
    iam = setup.fresh_iam()
    directory = str(setup.home / "dump")
    started = time.monotonic()
    with psycopg.connect(setup.legacy_url, autocommit=True) as legacy:
        # pg_dump maps nothing: the rows have to be given their new types first.
        legacy.execute("CREATE SCHEMA mapped")
        for table in TABLES:
            legacy.execute(f"CREATE TABLE mapped.{table} AS {setup.mapping(table)[1]}")  # type: ignore[call-overload]
        legacy.execute("ALTER SCHEMA public RENAME TO kept; ALTER SCHEMA mapped RENAME TO public")
        try:
            dump = [tool("pg_dump"), "-Fd", "-j2", "-Z0", "--data-only", "-n", "public", "-f", directory]
            subprocess.run([*dump, setup.legacy_url], check=True)
        finally:
            legacy.execute("DROP SCHEMA public CASCADE; ALTER SCHEMA kept RENAME TO public")
    for tables in (("tenants",), ("tenant_settings", "users", "licenses")):
        chosen = [part for table in tables for part in ("-t", table)]
        subprocess.run([tool("pg_restore"), "-j2", "--data-only", *chosen, "-d", iam, directory], check=True)
    seconds = time.monotonic() - started
    shutil.rmtree(directory)
    note = "mapped by CREATE TABLE AS first; constraints in place"
    return Result("pg_dump -Fd -j2 | pg_restore -j2", setup.rows, seconds, note, setup.compare())


def pgcopydb(setup: Setup) -> Result:
    """A clone of the whole legacy database into an empty one: legacy's own schema and constraints, unmapped."""
    name = "pgcopydb clone"
    program = shutil.which("pgcopydb")
    if program is None:
        return Result(name, 0, 0, "not installed here: apt install pgcopydb", "-")
    setup.on_server("CREATE DATABASE clone")
    command = [
        program, "clone", "--no-owner", "--no-acl", "--table-jobs", "2", "--index-jobs", "2",
        "--dir", str(setup.home / "pgcopydb"),
        "--source", setup.legacy_url, "--target", embedded.database_url("clone"),
    ]  # fmt: skip
    path = f"{postgres.find().directory}:{os.environ['PATH']}"
    started = time.monotonic()
    done = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        why = next((line for line in lines if "ERROR" in line), lines[-1])
        return Result(name, 0, 0, f"failed here: {why[-70:]}", "-")
    with psycopg.connect(embedded.database_url("clone")) as clone:
        rows = sum(count(clone, table) for table in TABLES)
    setup.on_server("DROP DATABASE clone WITH (FORCE)")
    same = "rows; legacy's constraints" if rows == setup.rows else "no"
    return Result(name, rows, seconds, "2 + 2 jobs, unmapped, legacy's own schema", same)


def bulk_create(setup: Setup) -> Result:
    """Django's bulk_create, 1,000 at a time, from server-side cursors, on models of the four tables."""
    from django.db import connections

    from bench.models import MODELS

    setup.fresh_iam()
    connections.close_all()
    rows, started = 0, time.monotonic()
    for table in TABLES:
        model = MODELS[table]
        for batch in setup.batches(table, BULK_SHARE):
            model._default_manager.using("iam").bulk_create([model(**row) for row in batch])
            rows += len(batch)
    seconds = time.monotonic() - started
    connections.close_all()
    note = f"1,000 at a time; {BULK_SHARE:.0%} of the users and licences"
    return Result("Django bulk_create", rows, seconds, note, f"{setup.compare_constraints()}, of its share")


def row_by_row(setup: Setup) -> Result:
    """The source document's design: fetch, map in Python, create one user after the other."""
    rows = 0
    with psycopg.connect(setup.fresh_iam(), autocommit=True) as connection:
        started = time.monotonic()
        for table in TABLES:
            columns = [name.strip() for name in setup.mapping(table)[0].split(",")]
            statement = SQL("INSERT INTO {} ({}) VALUES ({})").format(
                Identifier(table), SQL(", ").join(map(Identifier, columns)), SQL(", ").join([SQL("%s")] * len(columns))
            )
            for batch in setup.batches(table, ROW_SHARE):
                for row in batch:
                    connection.execute(statement, [row[name] for name in columns])
                rows += len(batch)
        seconds = time.monotonic() - started
    note = f"the source document's design; {ROW_SHARE:.0%} of the users and licences"
    return Result("one row, one commit", rows, seconds, note, f"{setup.compare_constraints()}, of its share")


PEERS = (psql, dump_restore, pgcopydb, bulk_create, row_by_row)
