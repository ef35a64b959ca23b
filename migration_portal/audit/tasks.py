"""What happens by the clock."""

import structlog
from celery import shared_task

from migration_portal.audit import anchors, stretches
from migration_portal.refusal import Refusal

log = structlog.get_logger(__name__)


@shared_task(name="audit.anchor")
def anchor() -> None:
    try:
        anchors.write()
    except Refusal as refusal:
        log.error("audit_not_anchored", error=str(refusal))
    try:
        stretches.cut_monthly()
    except Refusal as refusal:
        log.warning("audit_not_cut", error=str(refusal))  # the next hour will do
