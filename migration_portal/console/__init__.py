"""What every screen of the console shares. Lists of records take `ReadOnlyAdmin` from `console.admin`."""

from migration_portal.console.actions import act, by, moment, need, reason, require_typed, whole
from migration_portal.console.confirming import first_asked_again, require_shown
from migration_portal.console.pages import COUNTED, badge, counting, icon, page

__all__ = [
    "COUNTED",
    "act",
    "badge",
    "by",
    "counting",
    "first_asked_again",
    "icon",
    "moment",
    "need",
    "page",
    "reason",
    "require_shown",
    "require_typed",
    "whole",
]
