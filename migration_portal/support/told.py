"""A person as plain data, for the terminal."""

from __future__ import annotations

from typing import Any

from migration_portal.support.person import Person


def as_dict(made: Person) -> dict[str, Any]:
    """For JSON; times in ISO 8601."""
    user, home = made.user, made.home
    return {
        "id": made.id,
        "name": user.full_name if user else None,
        "email": user.email if user else None,
        "tenant": {"id": str(user.tenant_id), "name": str(user.tenant)} if user else None,
        "lives_in": home.home if home else "legacy",
        "moved_at": home.changed_at.isoformat() if home and home.changed_at else None,
        "run": made.run.pk if made.run else None,
        "fields": made.fields,
        "quarantine": [{"table": q.table_name, "why": q.reason, "state": q.state} for q in made.quarantine],
        "strays": [{"table": s.table_name, "what": s.what, "state": s.state} for s in made.strays],
        "sessions": [
            {
                "active": s.is_active,
                "since": s.created_at.isoformat(),
                "last": s.last_activity.isoformat(),
                "ip": s.ip_address,
            }
            for s in made.sessions
        ],
        "clients": [
            {"client": t.client.client_name, "scope": t.scope, "until": t.expires_at.isoformat()} for t in made.tokens
        ],
        "roles": made.roles,
        "permissions": made.permissions,
        "capabilities": [
            {name: each[name] for name in ("key", "on", "value", "because")}
            | {"enrolled": bool(each["state"] and each["state"].enrolled)}
            for each in made.capabilities
        ],
        "flags": made.flags,
        "calls": [
            {"at": c.at.isoformat(), "endpoint": c.endpoint, "home": c.home, "status": c.status} for c in made.calls
        ],
        "events": [{"at": e.at.isoformat(), "verb": e.verb, "by": e.actor, "reason": e.reason} for e in made.events],
        "notices": [
            {"notice": n.notice.name, "state": n.state, "at": n.sent_at.isoformat() if n.sent_at else None}
            for n in made.notices
        ],
        "trouble": made.trouble,
    }
