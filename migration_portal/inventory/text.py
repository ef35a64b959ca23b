"""An inventory as text, for those who keep files."""

from __future__ import annotations

from typing import Any


def as_text(title: str, content: dict[str, Any]) -> str:
    """The sections of the strategy document's inventory file, one after the other."""
    database = content["database"]
    lines = [
        title,
        "",
        "=== DATABASE ===",
        f"{database['name']}, PostgreSQL {database['server_version']}, {database['encoding']}, {database['bytes']:,} bytes",
        "",
        "=== TABLES ===",
    ]
    for name, table in content["tables"].items():
        lines.append(f"{name}: {table['rows']:,} rows, {table['bytes']:,} bytes")
        for column in table["columns"]:
            lines.append(f"    {column['name']} {column['type']}{' NOT NULL' if column['not_null'] else ''}")
    users = content["users"]
    lines += ["", "=== USERS ==="] + [f"{name}: {count:,}" for name, count in users.items()]
    lines += ["", "=== PASSWORD SCHEMES ==="]
    lines += [f"{scheme}: {count:,}" for scheme, count in content["password_schemes"].items()]
    lines += ["", "=== TENANTS (id, slug, users, licences, last log-in) ==="]
    for tenant in content["tenants"]:
        slug = (tenant["slug"] or "-") if tenant.get("exists", tenant["slug"]) else "(no such tenant)"
        lines.append(
            f"{tenant['id']}  {slug}  {tenant['users']:,}  {tenant['licenses']:,}  {tenant['last_login'] or '-'}"
        )
    return "\n".join(lines) + "\n"
