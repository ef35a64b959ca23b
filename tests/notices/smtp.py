"""A mail server that keeps what it is sent, and refuses what it is told to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default as modern
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Kept:
    """Each message as (recipient, message); `refuse` maps recipients to what they are answered with."""

    messages: list[tuple[str, Any]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)

    @property
    def recipients(self) -> list[str]:
        return [to for to, _ in self.messages]

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        made = message_from_bytes(envelope.content, policy=modern)
        self.messages += [(to, made) for to in envelope.rcpt_tos]
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[Kept, int]]:
    """What it keeps, and its port."""
    kept = Kept()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield kept, port
    finally:
        controller.stop()
