"""A stand-in for the released service that lives on its database: what the recorded facts say of what clients really use.

`PEER_DATABASE_URL` and `LEGACY_JWT_SECRET` say where and with what. Run by uvicorn, for tests alone.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import bcrypt
from fastapi import Body, Depends, FastAPI, Form, Header, HTTPException, Query
from joserfc import jwt
from joserfc.jwk import OctKey
from psycopg.rows import dict_row
from psycopg.types.json import Json
from psycopg_pool import ConnectionPool

app = FastAPI()
POOL = ConnectionPool(
    os.environ["PEER_DATABASE_URL"], min_size=2, max_size=16, kwargs={"row_factory": dict_row}, open=True
)
KEY = OctKey.import_key(os.environ["LEGACY_JWT_SECRET"])
USER = (
    "tenant_id", "email", "username", "full_name", "is_active", "is_superuser", "is_verified", "oauth_provider", "oauth_id",
    "sso_provider", "sso_id", "avatar_url", "bio", "phone_number", "id", "created_at", "updated_at", "last_login",
)  # fmt: skip


@contextmanager
def sql() -> Iterator[Any]:
    """A transaction; the guard's refusal is a 500, as any fault of the database is."""
    with POOL.connection() as connection:
        yield connection


def one(statement: str, *values: Any) -> Any:
    with sql() as connection:
        return connection.execute(statement, values).fetchone()


def signed(user: dict[str, Any], life: timedelta, **more: str) -> str:
    about = {"sub": user["username"], "user_id": user["id"], "tenant_id": user["tenant_id"]}
    exp = int((datetime.now(UTC) + life).timestamp())
    return jwt.encode({"alg": "HS256"}, about | {"exp": exp} | more, KEY)


def pair(user: dict[str, Any]) -> dict[str, Any]:
    refresh = signed(user, timedelta(days=7), type="refresh")
    one("UPDATE users SET refresh_token = %s, updated_at = now() WHERE id = %s RETURNING 1", refresh, user["id"])
    return {
        "access_token": signed(user, timedelta(minutes=30)), "refresh_token": refresh, "token_type": "bearer", "expires_in": None,
        "scope": None, "id_token": None,
    }  # fmt: skip


def bearer(authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
    try:
        claims = jwt.decode(authorization.partition(" ")[2], KEY, ["HS256"]).claims
        found = one("SELECT * FROM users WHERE username = %s AND id = %s", claims["sub"], claims.get("user_id", ""))
    except Exception:
        found = None
    if found is None:
        raise HTTPException(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})
    return found


User = Annotated[dict[str, Any], Depends(bearer)]


def shown(user: dict[str, Any]) -> dict[str, Any]:
    return {name: user[name] for name in USER}


def page(rows: list[Any], number: int, size: int) -> dict[str, Any]:
    chosen = rows[(number - 1) * size : number * size]
    return {"items": chosen, "total": len(rows), "page": number, "size": size, "pages": -(-len(rows) // size)}


def many(statement: str, *values: Any) -> list[Any]:
    with sql() as connection:
        return connection.execute(statement, values).fetchall()


@app.get("/health/ready")
def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/api/auth/login")
def login(credentials: Annotated[str, Form()], tenant_id: Annotated[str, Form()]) -> dict[str, Any]:
    name, _, password = base64.b64decode(credentials).decode().partition(":")
    user = one("SELECT * FROM users WHERE username = %s AND tenant_id = %s", name, tenant_id)
    if user is None or not bcrypt.checkpw(password.encode(), user["hashed_password"].encode()):
        raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Bearer"})
    one("UPDATE users SET last_login = now() WHERE id = %s RETURNING 1", user["id"])
    return pair(user)


@app.post("/api/auth/refresh")
def refresh(refresh_token: Annotated[str, Form()]) -> dict[str, Any]:
    try:
        name = jwt.decode(refresh_token, KEY, ["HS256"]).claims["sub"]
    except Exception:
        raise HTTPException(401, "Invalid refresh token") from None
    user = one("SELECT * FROM users WHERE username = %s ORDER BY id LIMIT 1", name)
    if user is None or user["refresh_token"] != refresh_token:
        raise HTTPException(401, "Invalid refresh token")
    return pair(user)


@app.post("/api/auth/logout")
def logout(user: User) -> dict[str, str]:
    one("UPDATE users SET refresh_token = NULL, updated_at = now() WHERE id = %s RETURNING 1", user["id"])
    return {"message": "Successfully logged out"}


@app.get("/api/auth/me")
@app.get("/api/auth/v1/users/me/profile")
def me(user: User) -> dict[str, Any]:
    return shown(user)


@app.get("/api/auth/users")
def users(user: User, skip: int = 0, limit: int = 100) -> list[Any]:
    rows = many("SELECT * FROM users WHERE tenant_id = %s ORDER BY created_at, id", user["tenant_id"])
    return [shown(row) for row in rows[skip : skip + limit]]


@app.get("/api/auth/v1/users")
def pages(user: User, page_: Annotated[int, Query(alias="page")] = 1, size: int = 20) -> dict[str, Any]:
    rows = many("SELECT * FROM users WHERE tenant_id = %s ORDER BY created_at DESC", user["tenant_id"])
    return page([shown(row) for row in rows], page_, size)


@app.get("/api/auth/users/{id}")
def a_user(user: User, id: str) -> dict[str, Any]:
    return shown(one("SELECT * FROM users WHERE id = %s", id))


@app.put("/api/auth/users/{id}")
def change(user: User, id: str, bio: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
    return shown(one("UPDATE users SET bio = %s, updated_at = now() WHERE id = %s RETURNING *", bio, id))


@app.get("/api/tenants/{id}")
def tenant(user: User, id: str) -> dict[str, Any]:
    row = one("SELECT * FROM tenants WHERE id = %s", id)
    return {name: row[name] for name in ("name", "slug", "is_active", "max_licenses", "id", "created_at")}


def licence(row: dict[str, Any]) -> dict[str, Any]:
    name = one("SELECT name FROM tenants WHERE id = %s", row["tenant_id"])["name"]
    order = (
        "id",
        "license_key",
        "tenant_id",
        "template_id",
        "linked_subscription",
        "issued_at",
        "validity_days",
        "payload",
    )
    return {each: row[each] for each in order} | {"tenant_name": name}


@app.get("/api/licenses")
def licences(user: User, size: int = 10) -> dict[str, Any]:
    rows = many("SELECT * FROM licenses WHERE tenant_id = %s ORDER BY issued_at, id", user["tenant_id"])
    return page([licence(row) for row in rows[:size]], 1, size)


@app.post("/api/licenses")
def issue(user: User, sent: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    statement = (
        "INSERT INTO licenses (id, license_key, license_secret, tenant_id, payload)"
        " VALUES (%s, %s, 'secret', %s, %s) RETURNING *"
    )
    key = base64.b64encode(os.urandom(294)).decode()
    return licence(one(statement, str(uuid.uuid4()), key, sent["tenant_id"], Json(sent["payload"])))


@app.get("/api/licenses/{id}")
def a_licence(user: User, id: str) -> dict[str, Any]:
    row = one("SELECT * FROM licenses WHERE id = %s", id)
    if row is None:
        raise HTTPException(404, "License not found")
    return licence(row)


@app.put("/api/licenses/{id}")
def change_licence(user: User, id: str, sent: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    return licence(one("UPDATE licenses SET validity_days = %s WHERE id = %s RETURNING *", sent["validity_days"], id))


@app.delete("/api/licenses/{id}")
def delete_licence(user: User, id: str) -> dict[str, str]:
    one("DELETE FROM licenses WHERE id = %s RETURNING 1", id)
    return {"message": "License deleted successfully"}


def role(row: dict[str, Any]) -> dict[str, Any]:
    order = ("name", "description", "tenant_id", "id", "is_system", "created_at", "updated_at")
    return {**{name: row[name] for name in order}, "permissions": []}


@app.get("/api/v1/roles/")
def roles(user: User) -> list[Any]:
    return [
        role(row) for row in many("SELECT * FROM roles WHERE tenant_id IS NULL OR tenant_id = %s", user["tenant_id"])
    ]


@app.post("/api/v1/roles/users/{id}/roles/{role_id}")
def assign(user: User, id: str, role_id: str) -> dict[str, Any]:
    one("INSERT INTO user_roles (user_id, role_id) VALUES (%s, %s) RETURNING 1", id, role_id)
    return role(one("SELECT * FROM roles WHERE id = %s", role_id))


@app.delete("/api/v1/roles/users/{id}/roles/{role_id}")
def take_away(user: User, id: str, role_id: str) -> dict[str, Any]:
    if one("DELETE FROM user_roles WHERE user_id = %s AND role_id = %s RETURNING 1", id, role_id) is None:
        raise HTTPException(404, "Role not assigned")
    return role(one("SELECT * FROM roles WHERE id = %s", role_id))


@app.get("/api/v1/sessions/")
@app.get("/api/v1/applications/")
def nothing(user: User) -> list[Any]:
    return []


@app.get("/api/products")
def products(user: User) -> dict[str, Any]:
    return page(many("SELECT * FROM products"), 1, 10)
