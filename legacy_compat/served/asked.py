"""What a legacy client sent, checked as the released service checks it: its 422 answers are pydantic's errors.

Text of a JSON body is kept HTML-escaped, as clients read it back (facts of the released service); but once, however often it is
saved: the service escaped what it had escaped before. What it took for SQL or script it refused or cut; escaping is enough.
"""

from __future__ import annotations

import html
import json
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from legacy_compat.call import LegacyCall
from legacy_compat.contracts.paging import Sent
from legacy_compat.contracts.shapes import Answer


def _storable(value: Any) -> Any:
    if isinstance(value, str) and "\0" in value:
        raise PydanticCustomError("string_nul", "String should not contain NUL")
    return value


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return html.escape(_ESCAPES.sub(lambda found: html.unescape(found.group()), _storable(value)))


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def escaped_within(value: Any) -> Any:
    """Text at any depth of what a client keeps as it likes; names are left alone."""
    if isinstance(value, dict):
        return {name: escaped_within(inner) for name, inner in value.items()}
    return [escaped_within(inner) for inner in value] if isinstance(value, list) else _escaped(value)


_ESCAPES = re.compile(r"&(?:amp|lt|gt|quot|#x27);")
"""What html.escape makes, and nothing else: in a URL &copy=2 is no sign of copyright."""


def _dated(value: datetime) -> datetime:
    if not 1 < value.year < 9999:  # which no zone can push out of the calendar
        raise PydanticCustomError("datetime_range", "Datetime should be between the years 2 and 9998")
    return value


Escaped, Storable = BeforeValidator(_escaped), BeforeValidator(_storable)
Text = Annotated[str, Escaped]
Plain = Annotated[str, Storable]
"""Not escaped: a password, or what is compared and not kept."""
Slug = Annotated[str, Field(max_length=50, pattern=r"^[a-z0-9-]+$"), Escaped]
Username = Annotated[str, Field(min_length=3, max_length=50, pattern=r"^[a-zA-Z0-9_-]+$"), Escaped]
Name = Annotated[str, Field(min_length=1, max_length=100), Escaped, BeforeValidator(_stripped)]
Address = Annotated[str, Field(max_length=500), Escaped]
Password = Annotated[str, Field(min_length=8), Storable]
Moment = Annotated[AwareDatetime, AfterValidator(_dated)]


S = TypeVar("S", bound=Sent)


def invalid(where: str, error: ValidationError) -> Answer:
    """422 as FastAPI words it."""
    entries = []
    for found in error.errors(include_url=False):
        entry = {
            "type": found["type"],
            "loc": [where, *found["loc"]],
            "msg": found["msg"],
            "input": shown(found["input"]),
        }
        if "ctx" in found:
            entry["ctx"] = {
                name: str(value) if isinstance(value, Exception) else value for name, value in found["ctx"].items()
            }
        entries.append(entry)
    return Answer(422, {"detail": entries})


def query(call: LegacyCall, kind: type[S]) -> S | Answer:
    try:
        return kind.model_validate(dict(call.query))
    except ValidationError as error:
        return invalid("query", error)


def body(call: LegacyCall, kind: type[S]) -> S | Answer:
    """Out of a JSON body."""
    sent = document(call)
    if isinstance(sent, Answer):
        return sent
    return checked(sent, kind)


def checked(sent: Any, kind: type[S]) -> S | Answer:
    try:
        return kind.model_validate(sent, from_attributes=True)
    except ValidationError as error:
        return invalid("body", error)


_ID: TypeAdapter[uuid.UUID] = TypeAdapter(uuid.UUID)


def named(key: str, name: str) -> uuid.UUID | Answer:
    """An id in the path, whose parameter the service calls `name`."""
    try:
        return _ID.validate_python(key)
    except ValidationError as error:
        answer = invalid("path", error)
        answer.body["detail"][0]["loc"] = ["path", name]
        return answer


def broken(call: LegacyCall) -> Answer | None:
    """The service reads a JSON body before it asks who sends it."""
    if call.method == "GET" or call.content_type != "application/json" or not call.content():
        return None
    sent = document(call)
    return sent if isinstance(sent, Answer) else None


def document(call: LegacyCall) -> Any:
    """The JSON body; the 422 where there is none that can be read."""
    content = call.content()
    if not content:
        return Answer(422, {"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]})
    if call.content_type != "application/json":
        return content.decode("utf-8", "replace")
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        return _not_json(error.pos, error.msg)
    except (ValueError, RecursionError):  # no UTF-8, a number of thousands of digits, or nested too deep
        return _not_json(0, "Expecting value")


def _not_json(position: int, why: str) -> Answer:
    entry = {
        "type": "json_invalid",
        "loc": ["body", position],
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": why},
    }
    return Answer(422, {"detail": [entry]})


def shown(value: Any) -> Any:
    """The value, if JSON can say it."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return dict(value) if isinstance(value, Mapping) else value
