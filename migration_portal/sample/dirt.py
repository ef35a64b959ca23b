"""How much of each kind of dirt a sample holds, and what must come of it. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dirt:
    """Counts for a sample of `users` users, as many licences, and `tenants` tenants.

    The first rows of each table are the dirty ones, one kind after the other; fill.sql places
    them by these counts.
    """

    users: int
    tenants: int
    rate: float = 0.001
    flavour = "documented"
    kinds = 12
    """Of dirty users, `each` rows of every one."""

    def __post_init__(self) -> None:
        if self.tenants < 5 or self.users < 40 * self.each + self.tenants:
            raise ValueError("A sample needs at least 5 tenants, and 40 users plus one a tenant.")

    @property
    def each(self) -> int:
        """Rows of each kind of user or licence dirt."""
        return max(1, int(self.users * self.rate / 4))

    @property
    def bad_tenants(self) -> int:
        """Tenants whose id is not a UUID; each has one user, one licence and settings, which cannot arrive either."""
        return 2

    @property
    def tenants_without_admin(self) -> int:
        return 1

    @property
    def dirty(self) -> int:
        """Users before the first clean one."""
        return self.kinds * self.each + self.bad_tenants

    def quarantined(self) -> dict[str, dict[str, int]]:
        """Per target table and reason, the rows a run of the flavour's plan must quarantine."""
        n, bad = self.each, self.bad_tenants
        users = {"id_not_uuid": n, "missing_tenants": n, "duplicate_key": n, "tenant_id_not_uuid": bad}
        return {
            "tenants": {"id_not_uuid": bad},
            "tenant_settings": {"tenant_id_not_uuid": bad},
            "users": users,
            # Rows of users that did not arrive have nobody to give a role to; a duplicate's twin has one already.
            "user_roles": {"id_not_uuid": n, "missing_users": n + bad, "duplicate_key": n},
            "licenses": {"id_not_uuid": n, "missing_tenants": n, "tenant_id_not_uuid": bad},
        }

    def rows(self) -> dict[str, int]:
        """Per target table, the source rows."""
        return {
            "tenants": self.tenants,
            "tenant_settings": self.tenants,
            "users": self.users,
            "user_roles": self.users,
            "licenses": self.users,
        }

    def quality(self) -> dict[str, int]:
        """Per quality rule of the plan's users table, the rows it must count."""
        n = self.each
        return {
            "email_differs_only_in_case": 2 * n,
            "null_boolean": n,
            "html_escaped_name": n,
            "mfa_without_secret": n,
            "password_not_bcrypt": n,
            "odd_timestamp": 2 * n,
            "empty_text": 1,
        }


@dataclass(frozen=True)
class ReleasedDirt(Dirt):
    """The same of a released Sigma Permit: its foreign keys hold, so nobody's tenant is missing."""

    flavour = "released"
    kinds = 7

    def quarantined(self) -> dict[str, dict[str, int]]:
        n, bad = self.each, self.bad_tenants
        return {
            "tenants": {"id_not_uuid": bad},
            "users": {"id_not_uuid": n, "duplicate_key": n, "tenant_id_not_uuid": bad},
            "licenses": {"id_not_uuid": n, "tenant_id_not_uuid": bad},
        }

    def rows(self) -> dict[str, int]:
        return {"tenants": self.tenants, "users": self.users, "licenses": self.users, "subscriptions": self.users // 10}

    def quality(self) -> dict[str, int]:
        n = self.each
        return {"email_differs_only_in_case": 2 * n, "escaped_twice": n}


FLAVOURS = {kind.flavour: kind for kind in (Dirt, ReleasedDirt)}
