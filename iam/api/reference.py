"""The reference of the new API as a page of the documentation: `python -m iam.api.reference > docs/api-reference.md`.

It wants the settings' environment, as `manage.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = """# API reference

What `/api/v1/openapi.json` says, for reading; `/api/v1/docs` tries it out. [The new API](new-api.md) says how it behaves.
This page is written by `python -m iam.api.reference`.

Every call but those marked so wants `Authorization: Bearer` with an access token. Errors are problem details (RFC 9457):
`type`, `title`, `status`, `detail`.
"""

Schemas = Mapping[str, Mapping[str, Any]]


def as_markdown(document: Mapping[str, Any]) -> str:
    """An OpenAPI 3 document, by its tags: every call with what it takes and what it answers, then the shapes."""
    calls: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            calls.setdefault(operation["tags"][0], []).append("\n".join(_call(method, path, operation)))
    parts = [_HEAD]
    for tag, its_calls in calls.items():
        parts += [f"## Calls: {tag}\n", *its_calls]
    schemas: Schemas = document["components"]["schemas"]
    parts.append("## Shapes\n")
    parts += ["\n".join(_shape(name, schema)) for name, schema in sorted(schemas.items())]
    return "\n".join(parts)


def _call(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {method.upper()} `{path}`\n"
    said = [operation.get("description", "").strip(), "" if operation.get("security") else "No token is needed."]
    if any(said):
        yield " ".join(filter(None, said)) + "\n"
    for parameter in operation.get("parameters", ()):
        need = "required" if parameter.get("required") else "optional"
        yield f"- `{parameter['name']}` ({parameter['in']}, {need}): {_type(parameter['schema'])}"
    if body := operation.get("requestBody"):
        yield f"- takes {_type(next(iter(body['content'].values()))['schema'])}"
    for status, response in operation["responses"].items():
        if int(status) < 400:
            content = response.get("content")
            what = _type(next(iter(content.values()))["schema"]) if content else "nothing"
            yield f"- answers {status} with {what}"
    yield ""


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if about := schema.get("description", "").strip():
        yield f"{about}\n"
    fields = schema.get("properties", {})
    if fields:
        yield "| field | type | |\n|---|---|---|"
    for field, of in fields.items():
        need = "required" if field in schema.get("required", ()) else ""
        yield f"| `{field}` | {_type(of)} | {need} |"
    yield ""


def _type(of: Mapping[str, Any]) -> str:
    if "$ref" in of:
        name = of["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := of.get("anyOf") or of.get("allOf"):
        return " or ".join(dict.fromkeys(_type(each) for each in several))
    if of.get("type") == "array":
        return f"list of {_type(of.get('items', {}))}"
    if "enum" in of or "const" in of:
        return ", ".join(f"`{value}`" for value in of.get("enum", [of.get("const")]))
    form = f" ({of['format']})" if "format" in of else ""
    return f"{of.get('type', 'anything')}{form}"


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from iam.api.root import api

    print(as_markdown(api.get_openapi_schema()), end="")
