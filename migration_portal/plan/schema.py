"""What a plan file may hold, as JSON Schema: editors complete and check by it, and the loader knows no other settings.

`python -m migration_portal.plan.schema` prints it, as docs/plan.schema.json holds it.
"""

from __future__ import annotations

import json
from typing import Any

_EXPRESSION = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "number"}, {"type": "boolean"}]}
NUMBER = {
    "type": "object",
    "description": "The UUID that stands for a number of legacy's, or the number that a UUID stands for.",
    "properties": {
        "number": {"type": "string", "description": "The column of the other side."},
        "of": {"type": "string", "description": "The legacy table that counts so; else the table itself."},
    },
    "required": ["number"],
    "additionalProperties": False,
}
LOOKUP = {
    "type": "object",
    "description": "The key of a row that the IAM has already or, for reversing, what that row says.",
    "properties": {
        "lookup": {"type": "string", "description": "The IAM's table; the plan does not fill it."},
        "by": {"type": "string", "description": "Its column that says which row: no two say the same."},
        "value": {"type": "string", "description": "SQL over the row: what that column says; for reversing, the key."},
        "where": {"type": "string", "description": "SQL over the IAM's rows: those that are meant, if not all."},
        "words": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Legacy's word = the IAM's, where they are not the same; of two for one, the first comes back.",
        },
    },
    "required": ["lookup", "by", "value"],
    "additionalProperties": False,
}
_MAPPED = {"anyOf": [*_EXPRESSION["anyOf"], NUMBER, LOOKUP]}
_NAMES = {"type": "array", "items": {"type": "string"}}


def _object(description: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    about = {"type": "object", "description": description, "properties": properties, "additionalProperties": False}
    return about | ({"required": list(required)} if required else {})


def _each(description: str, of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": description, "additionalProperties": of}


RULE = _object(
    "A named predicate over the legacy row: sql, or one of the built-in ones.",
    {
        "sql": {"type": "string", "description": "True for the rows it is about."},
        "uuid": {"type": "string", "description": "The text that this expression gives is no UUID."},
        "twin": {
            "type": "string",
            "description": "Of two ids that differ only in case, the one not in lower case: the column.",
        },
        "of": {"type": "string", "description": "The legacy table whose ids are meant; its column is id."},
        "advice": {"type": "string", "description": "What to do about them."},
    },
)
_RULES = {"anyOf": [{"type": "string", "minLength": 1}, RULE]}
READ = _object(
    "A legacy table that expressions read.",
    {
        "link": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
            "description": "Its column = the key's column: to which row of the source, or rows, each of its rows belongs.",
        },
        "tenant": {
            "type": "string",
            "description": "SQL over its row: whose it is, as legacy writes it. Needed where the source is a view.",
        },
        "where": {
            "type": "string",
            "description": "SQL over the IAM's row: for reversing, those that it has rows for, if not all.",
        },
        "ignored": _NAMES | {"description": "Its columns that are left out on purpose."},
        "lossy": _NAMES | {"description": "Its columns that may come back as something else."},
        "reverse": _each("For reversing: its column = SQL over the IAM row.", _MAPPED),
    },
    "link",
)
TABLE = _object(
    "How the rows of one legacy table become rows of one IAM table.",
    {
        "source": {"type": "string", "description": "The legacy table, or a view."},
        "view": {
            "type": "boolean",
            "default": False,
            "description": "The source is a view: the tables that it is made of stand under reads.",
        },
        "target": {"type": "string", "description": "The IAM table; each is filled once."},
        "key": _NAMES | {"minItems": 1, "description": "A primary key or unique NOT NULL columns of the legacy table."},
        "tenant": {"type": "string", "description": "The IAM column that says whose the row is."},
        "tenant_through": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
            "maxProperties": 1,
            "description": "Instead: the parent IAM table, and the IAM column that refers to it.",
        },
        "columns": _each("IAM column = SQL over the legacy row.", _MAPPED),
        "defaults": _each("IAM column = SQL constant; the IAM's own from then on.", _EXPRESSION),
        "ignored": _NAMES | {"description": "Legacy columns that are left out on purpose."},
        "secret": _NAMES | {"description": "Columns of either side that are never shown, logged or kept in quarantine."},
        "reject": _each("Rows to quarantine, by name.", _RULES),
        "quality": _each("Rows worth knowing about; they are copied as they are.", _RULES),
        "reads": _each("Legacy tables that the expressions read.", READ),
        "lossy": _NAMES | {"description": "Legacy columns that may come back as something else."},
        "reverse": _each("For reversing: legacy column = SQL over the IAM row.", _MAPPED),
    },
    "source", "target", "key", "columns",
)  # fmt: skip
GIVEN = _object(
    "A row that the IAM needs and legacy does not have. It is added where it is missing.",
    {
        "target": {"type": "string", "description": "The IAM table; no table of the plan fills it."},
        "columns": _each("IAM column = SQL constant.", _EXPRESSION),
    },
    "target", "columns",
)  # fmt: skip
PLAN = _object(
    "A plan of Sigma Transit: from a legacy identity database to the IAM, and back.",
    {
        "name": {"type": "string", "description": "One run of a plan at a time, by this name."},
        "description": {"type": "string"},
        "source_schema": {"type": "string", "default": "public"},
        "target_schema": {"type": "string", "default": "public"},
        "tables": {
            "type": "array",
            "minItems": 1,
            "items": TABLE,
            "description": "In foreign-key order: parents first.",
        },
        "rows": {
            "type": "array",
            "items": GIVEN,
            "description": "In foreign-key order, too; they come before all tables.",
        },
    },
    "tables",
)


def settings_of(schema: dict[str, Any]) -> set[str]:
    """The settings that an object of this schema may have."""
    return set(schema["properties"])


def as_json() -> str:
    return (
        json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **PLAN}, indent=2, ensure_ascii=False)
        + "\n"
    )


if __name__ == "__main__":
    print(as_json(), end="")
