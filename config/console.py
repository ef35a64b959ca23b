"""The console's look and its menu, as unfold wants them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy


def _link(title: str, icon: str, url: str, permission: str, *, key: str = "") -> dict[str, Any]:
    """`key` is what is pressed after g to get there."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(url),
        "permission": lambda request: request.user.has_perm(permission),
        "key": key,
    }


def _help(request: HttpRequest) -> str:
    from migration_portal.help.views import link  # which needs the settings that this module is part of

    return link(request)


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Sigma Transit",
    "SITE_HEADER": "Sigma Transit",
    "SITE_SUBHEADER": "Legacy to IAM, live",
    "SITE_SYMBOL": "sync_alt",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: "/static/portal/favicon.svg"}],
    "STYLES": [lambda request: "/static/portal/portal.css"],
    "SCRIPTS": [
        lambda request: "/static/idiomorph/idiomorph-ext.min.js",
        lambda request: "/static/portal/live.js",
        lambda request: "/static/portal/portal.js",
        lambda request: "/static/portal/shortcuts.js",
    ],
    "LOGIN": {"form": "migration_portal.operators.login.LoginForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
            {"title": "Second factor", "link": reverse_lazy("second_factor")},
            {"title": "Keyboard shortcuts", "link": "#shortcuts"},
        ]
    },
    "COMMAND": {"search_models": False, "search_callback": "migration_portal.palette.search", "show_history": False},
    "DASHBOARD_CALLBACK": "migration_portal.dashboard.context",
    "COLORS": {
        "primary": {
            "50": "oklch(97.7% .013 236.62)",
            "100": "oklch(95.1% .026 236.824)",
            "200": "oklch(90.1% .058 230.902)",
            "300": "oklch(82.8% .111 230.318)",
            "400": "oklch(74.6% .16 232.661)",
            "500": "oklch(68.5% .169 237.323)",
            "600": "oklch(50% .134 242.749)",
            "700": "oklch(44.3% .11 240.79)",
            "800": "oklch(39.1% .09 240.876)",
            "900": "oklch(29.3% .066 243.157)",
            "950": "oklch(22% .05 243)",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Prepare",
                "items": [
                    {"title": "Dashboard", "icon": "space_dashboard", "link": reverse_lazy("admin:index"), "key": "d"},
                    _link(
                        "Inventory",
                        "inventory_2",
                        "admin:inventory_inventory_changelist",
                        "inventory.view_inventory",
                        key="i",
                    ),
                    _link("Plan", "schema", "plan", "inventory.view_preflight", key="n"),
                    _link("Draft a plan", "draw", "drafting", "drafting.view_plandraft"),
                    _link("Pre-flight", "flight_takeoff", "preflight", "inventory.view_preflight", key="l"),
                    _link("IAM schema", "database", "admin:schema", "schema.view_appliedscript"),
                    _link("Rehearsal", "science", "rehearsals", "rehearsal.view_rehearsal"),
                ],
            },
            {
                "title": "Move",
                "separator": True,
                "items": [
                    _link("Runs", "moving", "admin:runs_run_changelist", "runs.view_run", key="r"),
                    _link(
                        "Quarantine",
                        "gpp_maybe",
                        "admin:runs_quarantinedrow_changelist",
                        "runs.view_quarantinedrow",
                        key="q",
                    ),
                    _link("Cut-over", "swap_horiz", "cutover", "flags.view_tenanthome", key="c"),
                    _link("Waves", "waves", "waves", "cutover.view_wave", key="w"),
                    _link("Decommission", "power_settings_new", "decommission", "flags.view_tenanthome", key="z"),
                    _link(
                        "Stray writes", "call_split", "admin:cutover_stray_changelist", "cutover.view_stray", key="y"
                    ),
                ],
            },
            {
                "title": "Operate",
                "separator": True,
                "items": [
                    _link("Health", "monitor_heart", "health", "monitoring.view_minute", key="h"),
                    _link("Legacy endpoints", "lan", "traffic", "legacy_compat.view_legacyrequest", key="e"),
                    _link("Features", "toggle_on", "features", "flags.view_flag", key="f"),
                    _link("Capabilities", "tune", "capabilities", "inventory.view_preflight"),
                    _link("Backups", "backup", "backups", "backups.view_backup", key="b"),
                    _link("Roll-back", "undo", "rollback", "rollback.view_matrix", key="o"),
                    _link("Checkpoints", "checklist", "checkpoints", "checkpoints.view_checkpoint", key="k"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _link("Support", "support_agent", "support", "migration_portal.view_person", key="s"),
                    _link("Notices", "campaign", "notices", "notices.view_notice"),
                    _link("OAuth clients", "apps", "clients", "inventory.view_preflight"),
                ],
            },
            {
                "title": "Trust",
                "separator": True,
                "items": [
                    _link("Audit log", "history", "admin:audit_event_changelist", "audit.view_event", key="a"),
                    _link("Approvals", "how_to_reg", "approvals", "approvals.view_approval", key="p"),
                    _link("Deployment plan", "event_note", "deployment", "deployment.view_plan", key="t"),
                    _link("Operators", "group", "admin:auth_user_changelist", "auth.view_user"),
                    _link("Second factors", "pin", "admin:otp_totp_totpdevice_changelist", "otp_totp.view_totpdevice"),
                    _link("Groups", "shield_person", "admin:auth_group_changelist", "auth.view_group"),
                    {"title": "Help", "icon": "help", "link": _help, "key": "?"},
                ],
            },
        ],
    },
}
