"""Every action of the plans by its name: what came of it, in words, or None while it waits.

Raises NotNeeded, Asks, Refusal (it failed, and a person decides), or an error of a database (it is tried again).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migration_portal.rollback import moving, restoring, validating
from migration_portal.rollback.models import Step

ACTIONS: Mapping[str, Callable[[Step], str | None]] = {
    action.__name__: action for action in (
        moving.close_doors, moving.open_doors, moving.stop_ramps, moving.switch_off_features, moving.reverse_tenants,
        moving.undo_run, restoring.restore_backup, restoring.swap_database, restoring.list_written, restoring.decide_written,
        restoring.fetch_files, restoring.place_files, restoring.compare_configuration, restoring.apply_configuration,
        validating.check_services, validating.check_sign_in, validating.compare_tenants, validating.notify,
    )
}  # fmt: skip
