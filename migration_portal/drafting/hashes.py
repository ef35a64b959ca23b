"""Stored hashes that need other words in the IAM, or in legacy, than they have: as values show. Pure."""

from __future__ import annotations

import re

from migration_portal.drafting.evidence import Evidence
from migration_portal.drafting.model import Line, TableDraft
from migration_portal.plan.model import TableInfo

_OF_DJANGO = re.compile(r"(pbkdf2_sha(1|256)|argon2|bcrypt(_sha256)?|scrypt|md5)\$")


def spell(draft: TableDraft, legacy: Evidence, iam: Evidence, source: TableInfo) -> None:
    """Replace the draft's line for the hash, where its system is one that we know."""
    hashed = next((line for line in draft.lines if line.name == "hashed_password"), None)
    if hashed is None or len(hashed.uses) != 1:
        return
    if {"localId", "salt"} <= source.columns.keys():
        _firebase(draft, hashed, legacy.name("salt"))
        return
    [column] = hashed.uses
    shown = [value for value in legacy.values(source.name, column) if value]
    if hashed.sql == legacy.name(column) and 2 * sum(1 for value in shown if _OF_DJANGO.match(value)) > len(shown):
        _django(draft, hashed, column, iam.name(hashed.name))


def _firebase(draft: TableDraft, hashed: Line, salt: str) -> None:
    """Firebase's export: a hash and its salt, beside the id that it calls localId."""
    sql = f"concat('$firebase-scrypt$r=8,m=14$', {salt}, '$', {hashed.sql})"
    said = "Firebase's scrypt: compare rounds and memory cost with the project's, and set FIREBASE_SIGNER_KEY"
    draft.lines.remove(hashed)
    draft.lines.append(Line(hashed.name, sql, 0.7, said, (*hashed.uses, "salt")))
    draft.back = [line for line in draft.back if line.name not in hashed.uses]


def _django(draft: TableDraft, hashed: Line, column: str, here: str) -> None:
    """Django wants its name for bcrypt, which a password that is changed in the IAM is hashed by, before the hash."""
    there = f"CASE WHEN {hashed.sql} LIKE 'bcrypt$$2%' THEN substr({hashed.sql}, 8) ELSE {hashed.sql} END"
    back = f"CASE WHEN {here} LIKE '$2%' THEN 'bcrypt$' || {here} ELSE {here} END"
    said = "Django's: enable its BCryptPasswordHasher"
    draft.lines[draft.lines.index(hashed)] = Line(hashed.name, there, hashed.certainty, said, hashed.uses)
    draft.back = [
        Line(line.name, back, line.certainty, said, line.uses) if line.name == column else line for line in draft.back
    ]
