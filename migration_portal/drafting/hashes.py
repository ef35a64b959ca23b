"""Stored hashes that need other words in the IAM, or in legacy, than they have: as values show. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from migration_portal.drafting import values
from migration_portal.drafting.evidence import Evidence
from migration_portal.drafting.model import Line, TableDraft
from migration_portal.plan.model import TableInfo

_OF_DJANGO = re.compile(r"(pbkdf2_sha(1|256)|argon2|bcrypt(_sha256)?|scrypt|md5)\$")

_OF_ASPNET = re.compile(r"AQAAAA[AEI][A-Za-z0-9+/]+=*|A[A-P][A-Za-z0-9+/]{64}==")
"""Identity's version 3 (1, then function, rounds and length of the salt as four bytes each) and 2 (0: SHA-1, 1,000 rounds)."""
_FROM_ASPNET = (
    "CASE WHEN {0} ~ '^AQAAAA[AEI]' THEN concat('$pbkdf2', CASE get_byte(decode({0}, 'base64'), 4) WHEN 1 THEN '-sha256'"
    " WHEN 2 THEN '-sha512' END, '$', ('x' || encode(substr(decode({0}, 'base64'), 6, 4), 'hex'))::bit(32)::int, '$',"
    " encode(substr(decode({0}, 'base64'), 14, get_byte(decode({0}, 'base64'), 12)), 'base64'), '$',"
    " replace(encode(substr(decode({0}, 'base64'), 14 + get_byte(decode({0}, 'base64'), 12)), 'base64'), chr(10), ''))"
    " WHEN {0} ~ '^A[A-P][A-Za-z0-9+/]{{64}}==$' THEN concat('$pbkdf2$1000$',"
    " encode(substr(decode({0}, 'base64'), 2, 16), 'base64'), '$',"
    " encode(substr(decode({0}, 'base64'), 18), 'base64')) ELSE {0} END"
)


def spell(draft: TableDraft, legacy: Evidence, iam: Evidence, source: TableInfo) -> None:
    """Write the draft's line for the hash, where its system is one that we know."""
    hashed = next((line for line in draft.lines if line.name == "hashed_password"), None)
    if hashed is None:
        if draft.target == "users":
            _keycloak(draft, legacy, source)
        return
    if len(hashed.uses) != 1:
        return
    if {"localId", "salt"} <= source.columns.keys():
        _firebase(draft, hashed, legacy.name("salt"))
        return
    [column] = hashed.uses
    shown = [value for value in legacy.values(source.name, column) if value]
    if hashed.sql != legacy.name(column):
        return
    if _most(shown, _OF_DJANGO.match):
        _django(draft, hashed, column, iam.name(hashed.name))
    elif _most(shown, _OF_ASPNET.fullmatch):
        _aspnet(draft, hashed, column)


def _most(values: Sequence[str], match: Callable[[str], object]) -> bool:
    return 2 * sum(1 for value in values if match(value)) > len(values)


def _firebase(draft: TableDraft, hashed: Line, salt: str) -> None:
    """Firebase's export: a hash and its salt, beside the id that it calls localId."""
    sql = f"concat('$firebase-scrypt$r=8,m=14$', {salt}, '$', {hashed.sql})"
    said = "Firebase's scrypt: compare rounds and memory cost with the project's, and set FIREBASE_SIGNER_KEY"
    draft.lines.remove(hashed)
    draft.lines.append(Line(hashed.name, sql, 0.7, said, (*hashed.uses, "salt")))
    draft.back = [line for line in draft.back if line.name not in hashed.uses]


def _keycloak(draft: TableDraft, legacy: Evidence, source: TableInfo) -> None:
    """Keycloak's export of a realm: each person's credentials as one list."""
    listed = next((name for name in source.columns if _credentials(legacy.values(source.name, name))), None)
    if listed is None:
        return
    made = keycloaks("(c ->> 'credentialData')::json", "(c ->> 'secretData')::json")
    password = f"FROM json_array_elements({legacy.name(listed)}::json) AS c WHERE c ->> 'type' = 'password' LIMIT 1"
    sql = f"coalesce((SELECT {made} {password}), '!')"
    said = "Keycloak's export; nothing leads back, and who has no password gets none"
    draft.lines.append(Line("hashed_password", sql, 0.8, said, (listed,)))


def _credentials(shown: Sequence[str | None]) -> bool:
    listed = [each for value in shown for each in values.objects(value)]
    return bool(listed) and all({"type", "secretData", "credentialData"} <= each.keys() for each in listed)


def keycloaks(how: str, secret: str) -> str:
    """The SQL that makes one hash, in the formats that the IAM checks, of Keycloak's two JSON values."""
    argon = [f"{how} #>> '{{additionalParameters,{name},0}}'" for name in ("type", "memory", "parallelism")]
    made, salt, value = f"{how} ->> 'hashIterations'", f"{secret} ->> 'salt'", f"{secret} ->> 'value'"
    argon2 = (
        f"concat('$argon2', {argon[0]}, '$v=19$m=', {argon[1]}, ',t=', {made}, ',p=', {argon[2]},"
        f" '$', rtrim({salt}, '='), '$', rtrim({value}, '='))"
    )
    pbkdf2 = f"concat('$', {how} ->> 'algorithm', '$', {made}, '$', {salt}, '$', {value})"
    return f"CASE {how} ->> 'algorithm' WHEN 'argon2' THEN {argon2} ELSE {pbkdf2} END"


def _django(draft: TableDraft, hashed: Line, column: str, here: str) -> None:
    """Django wants its name for bcrypt, which a password that is changed in the IAM is hashed by, before the hash."""
    there = f"CASE WHEN {hashed.sql} LIKE 'bcrypt$$2%' THEN substr({hashed.sql}, 8) ELSE {hashed.sql} END"
    back = f"CASE WHEN {here} LIKE '$2%' THEN 'bcrypt$' || {here} ELSE {here} END"
    said = "Django's: enable its BCryptPasswordHasher"
    draft.lines[draft.lines.index(hashed)] = Line(hashed.name, there, hashed.certainty, said, hashed.uses)
    draft.back = [
        Line(line.name, back, line.certainty, said, line.uses) if line.name == column else line for line in draft.back
    ]


def _aspnet(draft: TableDraft, hashed: Line, column: str) -> None:
    """ASP.NET Identity packs all that PBKDF2 was called with into one base64; a changed password comes back as bcrypt."""
    said = "ASP.NET Identity's; to read what is changed in the IAM, it needs a hasher for bcrypt, and the column listed as lossy"
    sql = _FROM_ASPNET.format(hashed.sql)
    draft.lines[draft.lines.index(hashed)] = Line(hashed.name, sql, 0.9, said, hashed.uses)
