"""What every screen of the console shares. Lists of records take `ReadOnlyAdmin` from `console.admin`."""

from migration_portal.console.actions import act, by, need, reason, require_typed
from migration_portal.console.pages import badge, icon, page

__all__ = ["act", "badge", "by", "icon", "need", "page", "reason", "require_typed"]
