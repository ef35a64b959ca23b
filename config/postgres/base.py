"""Django's PostgreSQL, which waits for a silent server once."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base

from migration_portal.silence import waited_for_once


class DatabaseWrapper(base.DatabaseWrapper):
    """ENGINE = "config.postgres"."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        with waited_for_once(f"{conn_params.get('host')}:{conn_params.get('port')}"):
            return super().get_new_connection(conn_params)
