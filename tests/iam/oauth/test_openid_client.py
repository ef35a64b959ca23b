"""The flows with openid-client, from npm: under `make endure`, where there is Node.js."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.iam.oauth.conftest import CALLBACK, Site

VERSION = "6.9.0"
SCRIPT = Path(__file__).parent / "openid_client.mjs"

if not os.environ.get("PORTAL_TEST_OPENID_CLIENT"):
    pytest.skip("openid-client is fetched and run under make endure", allow_module_level=True)
if not shutil.which("node") or not shutil.which("npm"):
    pytest.skip("Node.js is not installed", allow_module_level=True)


def test_every_flow_with_a_foreign_client(oauth: Site, tmp_path: Path) -> None:
    subprocess.run(["npm", "install", "--silent", f"openid-client@{VERSION}"], cwd=tmp_path, check=True, timeout=120)
    shutil.copy(SCRIPT, tmp_path)
    process = subprocess.Popen(
        ["node", SCRIPT.name, oauth.url, oauth.client.client_id, oauth.secret, CALLBACK], cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    told, trouble = process.communicate(oauth.allow(oauth.browser(), url) + "\n", timeout=60)
    assert process.returncode == 0, trouble
    found = json.loads(told)
    assert found["claims"]["sub"] == found["info"]["sub"] == str(oauth.user.pk)
    assert (found["claims"]["acr"], found["claims"]["amr"]) == ("aal1", ["pwd"])
    assert found["about"]["active"] and not found["after"]["active"]
    assert found["own"] == "users:read"
