"""The same decision as SQL over users and tenants, to count whom a flag or a change covers. Pure: it composes, others run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from flags.buckets import prefix
from flags.decide import Definition


def condition(
    flags: Mapping[str, Definition], name: str, waves: Mapping[str, Sequence[str]], *, user: str | None, tenant: str
) -> Composable:
    """True where the flag is on. `user` and `tenant` are columns with ids (no `user`: tenants are asked about);
    `waves` maps a wave to its tenants. Mirrors flags.decide.decide line by line."""
    flag = flags.get(name)
    if flag is None or flag.killed:
        return SQL("false")
    if flag.derived:
        return SQL("true") if flag.met else SQL("false")
    parts = [condition(flags, required, waves, user=user, tenant=tenant) for required in flag.requires]
    parts.append(SQL("NOT {}").format(_named(flag.excluded, user, tenant)))
    in_wave = sorted({id for wave in flag.waves for id in waves.get(wave, ())})
    chosen = [_named(flag.targets, user, tenant), SQL("{} = ANY({}::text[])").format(_text(tenant), Literal(in_wave))]
    column = user if flag.kind == "user" else tenant
    if column is None:
        chosen.append(SQL("true") if flag.percentage >= 100 else SQL("false"))
    else:
        hashed = SQL(
            "((('x' || substr(encode(sha256(convert_to({prefix} || {id}, 'UTF8')), 'hex'), 1, 8))::bit(32)::bigint"
            " * 100000) >> 32) < {limit}"
        )
        chosen.append(
            hashed.format(
                prefix=Literal(prefix(flag.group or flag.name, flag.salt, flag.kind)),
                id=_text(column), limit=Literal(flag.percentage * 1000),
            )
        )  # fmt: skip
    parts.append(SQL("({})").format(SQL(" OR ").join(chosen)))
    return SQL("({})").format(SQL(" AND ").join(parts))


def _named(subjects: frozenset[str], user: str | None, tenant: str) -> Composable:
    users = sorted(subject.removeprefix("user:") for subject in subjects if subject.startswith("user:"))
    tenants = sorted(subject.removeprefix("tenant:") for subject in subjects if subject.startswith("tenant:"))
    found = SQL("{} = ANY({}::text[])").format(_text(tenant), Literal(tenants))
    if user is None:
        return SQL("({})").format(found)
    return SQL("({} OR {} = ANY({}::text[]))").format(found, _text(user), Literal(users))


def _text(column: str) -> Composable:
    return SQL("{}::text").format(Identifier(column))
