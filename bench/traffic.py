"""Writers that never stop: they change rows of a live system through direct connections, and remember what was acknowledged.

Each writer owns a share of the users, so that it knows the order of its own writes. When the guard
refuses a write because the tenant has moved, the writer tries it on the other side, as a client that
was told to would. What it was told is the history that `Traffic.lost` holds both systems against.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

_MOVED = "PT403"
Work = Callable[["psycopg.Connection[Any]"], None]


@dataclass
class Owned:
    """A user of one writer. `said` is its last acknowledged bio (None: never written), `maybe` what was sent after that."""

    id: str
    tenant: str
    email: str = ""
    said: str | None = None
    maybe: list[str] = field(default_factory=list)
    gone: bool = False
    perhaps_gone: bool = False
    former: list[str] = field(default_factory=list)
    """Keys it had before, which nothing may have now."""


class Writer(threading.Thread):
    """One connection to each side, used one at a time."""

    def __init__(self, number: int, urls: dict[str, str], users: list[Owned], tenants: list[str], seed: int) -> None:
        super().__init__(daemon=True)
        self.number, self.urls, self.users, self.tenants = number, urls, users, tenants
        self.random = random.Random(seed * 1000 + number)
        self.home: dict[str, str] = {}
        self.connections: dict[str, psycopg.Connection[Any]] = {}
        self.stopped = threading.Event()
        self.acknowledged = self.refused = self.broken = self.failed = 0
        self.waits: list[float] = []
        self.errors: list[str] = []
        self.pause = 0.0

    def run(self) -> None:
        while not self.stopped.is_set():
            self._one()
            if self.pause:
                time.sleep(self.pause)

    def _one(self) -> None:
        kinds = (self._change, self._insert, self._remove, self._swap, self._roll_back, self._licence, self._move,
                 self._rekey)  # fmt: skip
        kind = self.random.choices(kinds, weights=(52, 12, 6, 8, 5, 10, 4, 3))[0]
        user = self.random.choice(self.users)
        if not user.gone:
            kind(user)

    def _do(self, tenant: str, work: Work) -> bool | None:
        """True: acknowledged. False: refused or rolled back. None: the connection broke, so nobody knows."""
        for _ in range(4):
            side = self.home.get(tenant, "legacy")
            begun = time.monotonic()
            try:
                connection = self._connect(side)
                with connection.transaction():
                    work(connection)
                self.acknowledged += 1
                self.waits.append(time.monotonic() - begun)
                return True
            except psycopg.Rollback:  # raised by the work, on a connection that broke before it could be rolled back
                return False
            except psycopg.OperationalError as error:
                if error.sqlstate in ("40001", "40P01"):
                    return False
                self.broken += 1
                self.connections.pop(side, None)
                time.sleep(0.1)
                return None
            except psycopg.Error as error:
                if error.sqlstate == _MOVED:
                    self.refused += 1
                    self.home[tenant] = "iam" if side == "legacy" else "legacy"
                    continue
                self.failed += 1
                self.errors.append(str(error))
                return False
        return False

    def _connect(self, side: str) -> psycopg.Connection[Any]:
        found = self.connections.get(side)
        if found is None or found.closed:
            found = psycopg.connect(self.urls[side], autocommit=True, connect_timeout=5)
            found.execute("SET deadlock_timeout = '200ms'")
            self.connections[side] = found
        return found

    def _token(self) -> str:
        return f"{self.number}-{uuid.uuid4().hex[:12]}"

    def _change(self, user: Owned) -> None:
        token = self._token()
        answer = self._do(user.tenant, lambda c: _execute(c, "UPDATE users SET bio = %s WHERE id = %s", token, user.id))
        _note(user, token, answer)

    def _insert(self, _: Owned) -> None:
        tenant = self.random.choice(self.tenants)
        user = Owned(str(uuid.uuid4()), tenant, email=f"{uuid.uuid4().hex}@example.org")
        token = self._token()
        insert = (
            "INSERT INTO users (id, tenant_id, email, username, hashed_password, bio, is_superuser)"
            " VALUES (%s, %s, %s, %s, 'x', %s, false)"
        )

        def work(connection: psycopg.Connection[Any]) -> None:
            _execute(connection, insert, user.id, tenant, user.email, uuid.uuid4().hex[:20], token)
            if self.home.get(tenant, "legacy") == "iam":
                role = "INSERT INTO user_roles (user_id, role_id) VALUES (%s, '00000000-0000-4000-8000-000000000002')"
                _execute(connection, role, user.id)

        answer = self._do(tenant, work)
        if answer is not False:
            user.perhaps_gone = answer is None
            _note(user, token, answer)
            self.users.append(user)

    def _rekey(self, user: Owned) -> None:
        """A new primary key for the same user."""
        if user.perhaps_gone:
            return
        key = str(uuid.uuid4())

        def work(connection: psycopg.Connection[Any]) -> None:
            roles: list[tuple[Any, ...]] = []
            if self.home.get(user.tenant, "legacy") == "iam":
                away = "DELETE FROM user_roles WHERE user_id = %s RETURNING role_id"
                roles = connection.execute(away, [user.id]).fetchall()
            _execute(connection, "UPDATE users SET id = %s WHERE id = %s", key, user.id)
            for (role,) in roles:
                _execute(connection, "INSERT INTO user_roles (user_id, role_id) VALUES (%s, %s)", key, role)

        answer = self._do(user.tenant, work)
        if answer is None:
            user.gone = user.perhaps_gone = True  # nobody knows under which key: left alone
        elif answer:
            user.former.append(user.id)
            user.id = key

    def _remove(self, user: Owned) -> None:
        if user.said is None:
            return  # only users that this writer has written to

        def work(connection: psycopg.Connection[Any]) -> None:
            if self.home.get(user.tenant, "legacy") == "iam":
                _execute(connection, "DELETE FROM user_roles WHERE user_id = %s", user.id)
            _execute(connection, "DELETE FROM users WHERE id = %s", user.id)

        answer = self._do(user.tenant, work)
        user.gone = answer is True
        user.perhaps_gone = user.perhaps_gone or answer is None
        if answer is None:
            user.gone = True  # left alone from now on

    def _swap(self, user: Owned) -> None:
        others = [
            u for u in self.users if u.tenant == user.tenant and u is not user and not u.gone and not u.perhaps_gone
        ]
        if not others or user.perhaps_gone:
            return
        other = self.random.choice(others)

        def work(connection: psycopg.Connection[Any]) -> None:
            both = connection.execute("SELECT id::text, email FROM users WHERE id IN (%s, %s)", [user.id, other.id])
            emails = dict(both.fetchall())
            if len(emails) < 2:
                return
            update = "UPDATE users SET email = %s WHERE id = %s"
            _execute(connection, update, uuid.uuid4().hex, user.id)
            _execute(connection, update, emails[user.id], other.id)
            _execute(connection, update, emails[other.id], user.id)

        self._do(user.tenant, work)

    def _roll_back(self, user: Owned) -> None:
        def work(connection: psycopg.Connection[Any]) -> None:
            _execute(connection, "UPDATE users SET bio = 'never' WHERE id = %s", user.id)
            raise psycopg.Rollback

        self._do(user.tenant, work)

    def _licence(self, user: Owned) -> None:
        payload = '{"seats": "%s"}' % ("x" * self.random.choice((10, 1000, 50_000)))
        insert = "INSERT INTO licenses (id, tenant_id, license_key, payload) VALUES (%s, %s, %s, %s)"
        update = "UPDATE licenses SET payload = %s WHERE id = (SELECT id FROM licenses WHERE tenant_id = %s LIMIT 1)"
        if self.random.random() < 0.5:
            key = uuid.uuid4()
            self._do(user.tenant, lambda c: _execute(c, insert, str(key), user.tenant, key.hex, payload))
        else:
            self._do(user.tenant, lambda c: _execute(c, update, payload, user.tenant))

    def _move(self, user: Owned) -> None:
        """To another tenant, where both live on the same side."""
        tenant = self.random.choice(self.tenants)
        if user.perhaps_gone or self.home.get(tenant, "legacy") != self.home.get(user.tenant, "legacy"):
            return
        side = self.home.get(user.tenant, "legacy")
        try:
            with self._connect(side).transaction():
                _execute(self._connect(side), "UPDATE users SET tenant_id = %s WHERE id = %s", tenant, user.id)
            user.tenant = tenant
            self.acknowledged += 1
        except psycopg.OperationalError:
            self.broken += 1
            self.connections.pop(side, None)
            user.gone = user.perhaps_gone = True  # nobody knows where it is: left alone
        except psycopg.Error as error:
            if error.sqlstate == _MOVED:
                self.refused += 1
            else:
                self.failed += 1
                self.errors.append(str(error))


def _execute(connection: psycopg.Connection[Any], statement: str, *arguments: Any) -> None:
    connection.execute(statement, arguments)  # type: ignore[call-overload]


def _note(user: Owned, token: str, answer: bool | None) -> None:
    if answer is True:
        user.said, user.maybe = token, []
    elif answer is None:
        user.maybe.append(token)


class Traffic:
    """Several writers on one pair of databases."""

    def __init__(self, legacy_url: str, iam_url: str, *, writers: int, seed: int, pause: float = 0.0) -> None:
        self.urls = {"legacy": legacy_url, "iam": iam_url}
        with psycopg.connect(legacy_url) as legacy:
            tenants = [
                row[0] for row in legacy.execute("SELECT id FROM tenants WHERE id ~ '^[0-9a-f-]{36}$' ORDER BY id")
            ]
            users = legacy.execute(
                "SELECT id, tenant_id FROM users WHERE id ~ '^[0-9a-f-]{36}$' AND tenant_id = ANY(%s) ORDER BY id",
                [tenants],
            ).fetchall()
        self.writers = [
            Writer(n, self.urls, [Owned(*row) for row in users[n::writers]][:2000], tenants, seed)
            for n in range(writers)
        ]
        for writer in self.writers:
            writer.pause = pause

    def start(self) -> None:
        for writer in self.writers:
            writer.start()

    def stop(self) -> None:
        for writer in self.writers:
            writer.stopped.set()
        for writer in self.writers:
            writer.join(30)

    @property
    def acknowledged(self) -> int:
        return sum(writer.acknowledged for writer in self.writers)

    @property
    def errors(self) -> list[str]:
        return [error for writer in self.writers for error in writer.errors]

    def lost(self, side: str) -> list[str]:
        """Acknowledged writes that are neither in this side's final state nor overwritten by a later one."""
        with psycopg.connect(self.urls[side]) as connection:
            bios: dict[str, str] = dict(connection.execute("SELECT id::text, bio FROM users").fetchall())
        wrong: list[str] = []
        for user in (user for writer in self.writers for user in writer.users):
            wrong += [f"{key} is the former key of {user.id} and is there" for key in user.former if key in bios]
            if user.gone and not user.perhaps_gone:
                if user.id in bios:
                    wrong.append(f"{user.id} was deleted and is there")
            elif user.id not in bios:
                if not user.perhaps_gone:
                    wrong.append(f"{user.id} is missing")
            elif user.said is not None and bios[user.id] not in [user.said, *user.maybe]:
                wrong.append(f"{user.id} says {bios[user.id]!r}, acknowledged was {user.said!r}")
            elif bios[user.id] == "never":
                wrong.append(f"{user.id} holds a write that was rolled back")
        return wrong
