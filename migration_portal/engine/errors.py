"""What can go wrong between two databases, by name, and how a driver's error becomes one of them."""

from __future__ import annotations

import psycopg

from migration_portal.plan.errors import PlanError, Refusal


class LeaseLost(Refusal):
    """Another worker has the chunk: what was done here is rolled back."""


class DatabaseUnreachable(Refusal):
    """A server does not answer, refuses us, or dropped the connection. Passing: tried again."""


class WrongVersion(Refusal):
    """The server is older than we can work with."""


class MissingPrivilege(Refusal):
    """The role may not do what is needed."""


class DiskFull(Refusal):
    """A server has no room left. Nothing is half-written; retry when there is."""


class LockTimeout(Refusal):
    """A lock was not to be had in time. Passing: tried again."""


class ExpressionFailed(Refusal):
    """The plan's SQL failed."""


class ConstraintBroken(Refusal):
    """The data breaks a rule of the IAM schema that no query foresaw."""


_PASSING = (DatabaseUnreachable, LockTimeout, LeaseLost)


def passing(refusal: Refusal) -> bool:
    """Whether trying again by itself makes sense."""
    return isinstance(refusal, _PASSING)


def describe(error: psycopg.Error, *, subject: str = "") -> Refusal:
    """Turn a driver's error into a named one: never a traceback, never a secret (no values are quoted)."""
    state = error.sqlstate or ""
    message = (error.diag.message_primary or str(error)).strip().splitlines()[0] if str(error) else "no message"
    if state == "53100":
        return DiskFull(
            f"The server's disk is full ({message}).", subject=subject,
            todo="Free space on that server, then press Retry; what was being written has been rolled back.",
        )  # fmt: skip
    if state == "42501" or state == "28000":
        return MissingPrivilege(message, subject=subject, todo="Grant it to the role in the database URL.")
    if state == "55P03" or state in ("40001", "40P01", "57014"):
        return LockTimeout(f"Gave up waiting ({message}).", subject=subject, todo="It is tried again by itself.")
    if state.startswith(("08", "57P", "53")) or (isinstance(error, psycopg.OperationalError) and not state):
        return DatabaseUnreachable(
            f"The server does not answer ({message}).", subject=subject,
            todo="Check that it runs and that its URL is right; work resumes by itself.",
        )  # fmt: skip
    if state == "28P01" or state == "3D000":
        return DatabaseUnreachable(message, subject=subject, todo="Correct the database URL.")
    if state.startswith("23"):
        name = error.diag.constraint_name or error.diag.column_name or ""
        return ConstraintBroken(f"{message}{f' ({name})' if name else ''}", subject=subject)
    if state.startswith(("22", "42")):
        return ExpressionFailed(f"{message}", subject=subject, todo="Correct the expression in the plan.")
    return Refusal(f"The database reported: {message} (SQLSTATE {state or 'none'}).", subject=subject)


__all__ = [
    "ConstraintBroken", "DatabaseUnreachable", "DiskFull", "ExpressionFailed", "LeaseLost", "LockTimeout",
    "MissingPrivilege", "PlanError", "Refusal", "WrongVersion", "describe", "passing",
]  # fmt: skip
