"""What a pre-flight found."""

from migration_portal.inventory.requests import take_now


def preflight() -> dict:
    return take_now("preflight", by="tester").content
