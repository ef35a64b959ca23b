"""A small OpenID Connect provider on this machine, which signs everybody in as one person."""

from __future__ import annotations

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey


class Provider:
    def __init__(self, subject: str) -> None:
        self.subject, self.broken = subject, False
        self.key = RSAKey.generate_key(2048, parameters={"kid": "one"})
        self.nonces: dict[str, str] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(asked.query).items()}
                if asked.path == "/authorize":
                    code = secrets.token_urlsafe(8)
                    provider.nonces[code] = query["nonce"]
                    self.send_response(302)
                    back = urlencode({"code": code, "state": query["state"]})
                    self.send_header("Location", f"{query['redirect_uri']}?{back}")
                    self.end_headers()
                else:
                    self.answer(provider.document(asked.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.answer(provider.token(parse_qs(body)["code"][0]))

            def answer(self, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(500 if provider.broken else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def document(self, path: str) -> dict[str, Any]:
        if path == "/jwks":
            return {"keys": [self.key.as_dict(private=False)]}
        return {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks", "id_token_signing_alg_values_supported": ["RS256"],
        }  # fmt: skip

    def token(self, code: str) -> dict[str, Any]:
        claims = {
            "iss": self.url, "aud": "sigma", "sub": self.subject, "nonce": self.nonces.pop(code), "iat": int(time.time()),
            "exp": int(time.time()) + 60, "email": "ann@example.org", "preferred_username": "ann",
        }  # fmt: skip
        id_token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": id_token}
