"""What can go wrong between two databases, by name, and how a driver's error becomes one of them."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import Composed

from migration_portal.plan.errors import PlanError
from migration_portal.refusal import Refusal


class LeaseLost(Refusal):
    """Another worker has the chunk: what was done here is rolled back."""


class DatabaseUnreachable(Refusal):
    """A server does not answer, refuses us, or dropped the connection. Passing: tried again."""


class WrongVersion(Refusal):
    """The server is older than we can work with."""


class WrongEncoding(Refusal):
    """The database does not know which characters its bytes are."""


class PoolerInBetween(Refusal):
    """What answers is a pooler that does not keep a session's settings."""


class MissingPrivilege(Refusal):
    """The role may not do what is needed."""


class DiskFull(Refusal):
    """A server has no room left. Nothing is half-written; retry when there is."""


class LockTimeout(Refusal):
    """A lock was not free in time. Passing: tried again."""


class StatementInvalid(Refusal):
    """The server does not understand the plan's SQL, or something it names is not there."""


class ExpressionFailed(Refusal):
    """The plan's SQL failed on a row's values."""


class ConstraintBroken(Refusal):
    """The data breaks a rule of the IAM schema that no query foresaw."""


_QUOTED = re.compile(r': "?.*', re.DOTALL)
"""What follows “invalid input syntax for type uuid” is the row's value."""
_OF_A_ROW = re.compile("20|23|27|2F|38|39|44|45|P0|(?!5[3578]|HV|XX)[5-9I-Z]")
"""Constraints, and what functions and triggers raise: under codes of their own, too. And what is too long, too deep or too much."""
_PASSING = (DatabaseUnreachable, LockTimeout, LeaseLost)
_LASTING = (PlanError, StatementInvalid, MissingPrivilege, WrongVersion, WrongEncoding, PoolerInBetween)


def fault_of(connection: Connection[Any], statement: Composed) -> psycopg.Error | None:
    """Why the server does not carry out the statement, where that is the statement's fault. Raises other psycopg.Error.

    Prepared, it is one statement: what is in it cannot end it and begin another.
    """
    try:
        with connection.transaction():
            connection.execute(statement, prepare=True)
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        return error
    return None


def passing(refusal: Refusal) -> bool:
    """Whether trying again by itself makes sense."""
    return isinstance(refusal, _PASSING)


def lasting(refusal: Refusal) -> bool:
    """Whether it stays until somebody corrects the plan, the schema or the server."""
    return isinstance(refusal, _LASTING)


def blames_a_row(refusal: Refusal) -> bool:
    """Whether some row's values are the cause, so that looking for that row makes sense."""
    return isinstance(refusal, ExpressionFailed | ConstraintBroken)


def describe(error: psycopg.Error, *, subject: str = "") -> Refusal:
    """Turn a driver's error into a named one: never a traceback, never a secret (no values are quoted)."""
    state = error.sqlstate or ""
    message = (error.diag.message_primary or str(error)).strip().splitlines()[0] if str(error) else "no message"
    if state.startswith("22"):
        message = _QUOTED.sub("", message)
    if state == "53100":
        return DiskFull(
            f"The server's disk is full ({message}).", subject=subject,
            todo="Free space on that server, then press Retry; what was being written has been rolled back.",
        )  # fmt: skip
    if state == "42501" and "row-level security" in message:
        return MissingPrivilege(
            f"Row-level security hides rows from our role ({message}).", subject=subject,
            todo="ALTER ROLE … BYPASSRLS for the role in the database URL: a row it cannot see would be lost.",
        )  # fmt: skip
    if state == "42501" or state == "28000":
        return MissingPrivilege(f"{message}.", subject=subject, todo="Grant it to the role in the database URL.")
    if state == "55P03":
        return LockTimeout(
            f"Somebody keeps it locked ({message}).", subject=subject,
            todo="pg_locks tells which session does. What the portal does by itself it tries again; else ask for it again.",
        )  # fmt: skip
    if state in ("40001", "40P01", "57014"):
        return LockTimeout(f"Gave up waiting ({message}).", subject=subject, todo="It is tried again by itself.")
    if state.startswith(("08", "57P", "53")) or (isinstance(error, psycopg.OperationalError) and not state):
        return DatabaseUnreachable(
            f"The server does not answer ({message}).", subject=subject,
            todo="Check that it runs and that its URL is right; work resumes by itself.",
        )  # fmt: skip
    if state == "28P01" or state == "3D000":
        return DatabaseUnreachable(f"{message}.", subject=subject, todo="Correct the database URL.")
    if _OF_A_ROW.match(state):
        name = error.diag.constraint_name or error.diag.column_name or ""
        return ConstraintBroken(f"{message}{f' ({name})' if name else ''}.", subject=subject)
    if state.startswith(("21", "22")):
        return ExpressionFailed(f"{message}.", subject=subject, todo="Correct the expression in the plan.")
    if state.startswith("42"):
        return StatementInvalid(f"{message}.", subject=subject, todo="Correct the plan, or the schema it is about.")
    return Refusal(f"The database reported: {message} (SQLSTATE {state or 'none'}).", subject=subject)
