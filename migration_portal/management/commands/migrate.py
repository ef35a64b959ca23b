"""`manage.py migrate`, by the owner of the portal's database where there is one, and then the grants for the portal's own role."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.commands import migrate

from migration_portal.audit import roles


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DATABASE_OWNER or options["database"] != "default":
            super().handle(*args, **options)
            return
        with roles.owner():
            super().handle(*args, **options)
            try:
                name = roles.grant()
            except ValueError as error:
                raise CommandError(str(error)) from None
        if options["verbosity"]:
            self.stdout.write(f"The role {name} may use the portal's database, and only add to its audit log.")
