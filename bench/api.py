"""How fast are the legacy endpoints, served here and passed on?

    make bench-api

One embedded PostgreSQL, one set of data, two worker processes each; `wrk` with 16 connections, the two
servers in turns. The peer is bench/peer_api.py: the same contract on FastAPI and SQLAlchemy, under uvicorn.
Then what passing a request on to the legacy system adds at 200 requests a second, and how near to the
bare rate of bcrypt logins come.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import psycopg
from rich.console import Console
from rich.table import Table

from bench.setup import Setup, scratch
from config import embedded

console = Console(width=110)
_REPORT = (
    'done = function(s, l) print(string.format("RESULT %f %d %d", l:percentile(95)/1000, s.requests, s.duration)) end\n'
)
_PASSWORD = "a bench's password"


@dataclass
class Wrk:
    """Requests a second, and the 95th percentile in milliseconds."""

    rate: float
    p95: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack:
        home = scratch(stack)
        os.environ["LEGACY_JWT_SECRET"] = secrets.token_hex(32)
        os.environ["AUTH_CALLS_A_MINUTE"] = "0"
        stack.callback(embedded.start().stop)
        Bench(Setup(options.users, home), stack, options.seconds).run()
    return 0


class Bench:
    def __init__(self, setup: Setup, stack: ExitStack, seconds: int) -> None:
        self.setup, self.stack, self.seconds = setup, stack, seconds
        self.ports = iter(range(21_700, 21_800))

    def run(self) -> None:
        username, key = self.fill()
        peer = self.start("uvicorn", "bench.peer_api:app", "--workers", "2", "--log-level", "error", "--no-access-log")
        ours = self.start("config.serve", "--processes", "2")
        servers = {"ours": ours, "FastAPI + SQLAlchemy": peer}
        tokens = {name: self.login(url, username) for name, url in servers.items()}
        console.print(f"{self.setup.users:,} users; {os.cpu_count()} cores; two processes each")
        self.reads(servers, tokens, key)
        self.logins(ours, username)
        self.proxy(tokens["ours"])

    def fill(self) -> tuple[str, str]:
        """Users, tenants and licences in the IAM, all at home there. Returns an administrator's name and a licence key."""
        import django

        django.setup()
        from django.core.management import call_command

        from flags.models import TenantHome
        from migration_portal.runs.models import Run
        from migration_portal.runs.start import start
        from migration_portal.runs.work import work

        call_command("migrate", verbosity=0)
        self.setup.fill()
        self.setup.make_template()
        self.setup.fresh_iam()
        run = start(by="bench")
        while Run.objects.get(pk=run.pk).state == "running":
            work(run.pk)
        with psycopg.connect(self.setup.iam_url, autocommit=True) as iam:
            homes = [row[0] for row in iam.execute("SELECT id::text FROM tenants")]
            hashed = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(12)).decode()
            chosen = iam.execute(
                "UPDATE users SET hashed_password = %s, is_superuser = true, is_active = true WHERE id = ("
                "SELECT (array_agg(id ORDER BY id))[1] FROM users GROUP BY tenant_id ORDER BY count(*) DESC, tenant_id LIMIT 1)"
                " RETURNING username",
                [hashed],
            ).fetchone()
            key = iam.execute(
                "SELECT license_key FROM licenses WHERE license_key !~ '[^0-9A-Za-z-]' LIMIT 1"
            ).fetchone()
        assert chosen is not None and key is not None
        TenantHome.objects.bulk_create([TenantHome(tenant=id, legacy_tenant=id, home="iam") for id in homes])
        return str(chosen[0]), str(key[0])

    def start(self, *command: str, **environment: str) -> str:
        port = str(next(self.ports))
        place = ["--port", port] if command[0] == "uvicorn" else ["--bind", f"127.0.0.1:{port}"]
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *place],
            env=os.environ | {"PEER_DATABASE_URL": self.setup.iam_url, "PEER_IDS": "uuid"} | environment,
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/health/ready", timeout=2)
                return url
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{command[0]} does not answer.")

    def login(self, url: str, username: str) -> str:
        data = urllib.parse.urlencode({"username": username, "password": _PASSWORD}).encode()
        return str(json.load(urllib.request.urlopen(f"{url}/api/auth/login", data))["access_token"])

    def wrk(self, url: str, script: str = "", *, connections: int = 16, seconds: int = 0) -> Wrk:
        path = Path(self.setup.home) / "wrk.lua"
        path.write_text(script + _REPORT)
        command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds or self.seconds}s", "--latency", "-s", str(path), url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said:
            raise RuntimeError(said)
        found = re.search(r"RESULT (\S+) (\S+) (\S+)", said)
        assert found, said
        return Wrk(int(found[2]) / (int(found[3]) / 1e6), float(found[1]))

    def reads(self, servers: dict[str, str], tokens: dict[str, str], key: str) -> None:
        table = Table("endpoint", "server", "requests/s", "p95 ms", "ratio", title="Reads")
        for path in ("/api/auth/me", "/api/auth/users?size=100", f"/api/licenses/validate?license_key={key}"):
            rounds: dict[str, list[Wrk]] = {name: [] for name in servers}
            for _ in range(3):
                for name, url in servers.items():
                    script = f'wrk.headers["Authorization"] = "Bearer {tokens[name]}"\n'
                    rounds[name].append(self.wrk(url + path, script))
            rates = {name: statistics.median(one.rate for one in found) for name, found in rounds.items()}
            slowest = {name: statistics.median(one.p95 for one in found) for name, found in rounds.items()}
            for name in servers:
                ratio = rates[name] / rates["FastAPI + SQLAlchemy"]
                row = (path.partition("?")[0], name, f"{rates[name]:,.0f}", f"{slowest[name]:.1f}", f"{ratio:.2f}")
                table.add_row(*row)
        console.print(table)

    def proxy(self, token: str) -> None:
        """Two connections that wait between their requests, so that 200 a second are asked for."""
        from flags.models import TenantHome

        time.sleep(3)  # until the last logins are answered
        TenantHome.objects.update(home="legacy")
        canned = self.start("uvicorn", "bench.peer_api:canned", "--log-level", "error", "--no-access-log")
        ours = self.start("config.serve", "--processes", "2", LEGACY_UPSTREAM_URL=canned)
        script = f'wrk.headers["Authorization"] = "Bearer {token}"\nfunction delay() return %d end\n'
        found: dict[str, list[Wrk]] = {"direct": [], "through us": []}
        for _ in range(3):
            for name, url, pause in (("direct", canned, 9), ("through us", ours, 6)):
                found[name].append(self.wrk(f"{url}/api/auth/me", script % pause, connections=2))
        table = Table("way", "requests/s", "p95 ms", title="GET /api/auth/me, passed on")
        for name, rounds in found.items():
            rate, p95 = (statistics.median(getattr(one, part) for one in rounds) for part in ("rate", "p95"))
            table.add_row(name, f"{rate:,.0f}", f"{p95:.2f}")
        console.print(table)

    def logins(self, ours: str, username: str) -> None:
        body = urllib.parse.urlencode({"username": username, "password": _PASSWORD})
        script = f'wrk.method = "POST"\nwrk.body = "{body}"\nwrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\n'
        bare, served = [], []
        for _ in range(3):
            bare.append(hash_rate(self.seconds))
            served.append(self.wrk(f"{ours}/api/auth/login", script, connections=8, seconds=2 * self.seconds).rate)
        table = Table("what", "a second", "ratio", title="Logins, bcrypt cost 12")
        table.add_row("bcrypt alone, all cores", f"{statistics.median(bare):.1f}", "1.00")
        ratio = statistics.median(served) / statistics.median(bare)
        table.add_row("POST /api/auth/login", f"{statistics.median(served):.1f}", f"{ratio:.2f}")
        console.print(table)


def hash_rate(seconds: int) -> float:
    """bcrypt verifications a second with a thread for each core; it lets go of the interpreter while it works."""
    stored = bcrypt.hashpw(b"x", bcrypt.gensalt(12))
    done = [0] * (os.cpu_count() or 1)
    until = time.monotonic() + seconds

    def work(number: int) -> Callable[[], None]:
        def loop() -> None:
            while time.monotonic() < until:
                bcrypt.checkpw(b"x", stored)
                done[number] += 1

        return loop

    threads = [threading.Thread(target=work(n)) for n in range(len(done))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


if __name__ == "__main__":
    sys.exit(main())
