"""The peer of the legacy endpoints: the documented contract as a team would write it with FastAPI and SQLAlchemy.

It stands in for the legacy system where a test needs one (`PEER_IDS=text`, on the legacy database), and
is what `bench.api` measures ours against (`PEER_IDS=uuid`, on the IAM's).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import bcrypt
from fastapi import Depends, FastAPI, Form, HTTPException, Query
from fastapi.security import OAuth2PasswordBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from sqlalchemy import Boolean, DateTime, Integer, String, Uuid, create_engine, func, or_, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

_ID = Uuid(as_uuid=False) if os.environ.get("PEER_IDS") == "uuid" else String(36)
_URL = os.environ["PEER_DATABASE_URL"].replace("postgres://", "postgresql+psycopg://", 1)
_KEY = OctKey.import_key(os.environ["LEGACY_JWT_SECRET"])
engine = create_engine(_URL, pool_size=20, pool_pre_ping=True)
sessions = sessionmaker(engine, expire_on_commit=False)
app = FastAPI(title="The legacy service")
bearer = OAuth2PasswordBearer("api/auth/login")


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(_ID)
    email: Mapped[str | None] = mapped_column(String)
    username: Mapped[str | None] = mapped_column(String)
    full_name: Mapped[str | None] = mapped_column(String)
    hashed_password: Mapped[str] = mapped_column(String)
    is_active: Mapped[bool | None] = mapped_column(Boolean)
    is_superuser: Mapped[bool | None] = mapped_column(Boolean)
    is_verified: Mapped[bool | None] = mapped_column(Boolean)
    avatar_url: Mapped[str | None] = mapped_column(String)
    bio: Mapped[str | None] = mapped_column(String)
    phone_number: Mapped[str | None] = mapped_column(String)
    created_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_login: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    refresh_token: Mapped[str | None] = mapped_column(String)


class Tenant(Base):
    __tablename__ = "tenants"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    is_active: Mapped[bool | None] = mapped_column(Boolean)


class License(Base):
    __tablename__ = "licenses"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    license_key: Mapped[str | None] = mapped_column(String)
    tenant_id: Mapped[str | None] = mapped_column(_ID)
    template_id: Mapped[str | None] = mapped_column(String)
    linked_subscription: Mapped[str | None] = mapped_column(String)
    issued_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    validity_days: Mapped[int | None] = mapped_column(Integer)


def database() -> Iterator[Session]:
    with sessions() as session:
        yield session


Database = Annotated[Session, Depends(database)]


def user_of(token: str, database: Session, *, refresh: bool) -> User:
    try:
        claims = jwt.decode(token, _KEY, ["HS256"]).claims
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
    except (JoseError, ValueError):
        raise HTTPException(401, "Could not validate credentials") from None
    user = database.get(User, claims.get("user_id"))
    if user is None or (claims.get("type") == "refresh") is not refresh:
        raise HTTPException(401, "Could not validate credentials")
    return user


def current(token: Annotated[str, Depends(bearer)], database: Database) -> User:
    user = user_of(token, database, refresh=False)
    if not user.is_active:
        raise HTTPException(400, "Inactive user")
    return user


Current = Annotated[User, Depends(current)]


def pair(user: User, database: Session) -> dict[str, Any]:
    """The next tokens; the user's one refresh token that is good is kept, as the released service keeps it."""
    about = {"sub": user.username, "user_id": str(user.id), "tenant_id": str(user.tenant_id)}

    def signed(seconds: int, **more: str) -> str:
        return jwt.encode({"alg": "HS256"}, {**about, **more, "exp": int(time.time()) + seconds}, _KEY, ["HS256"])

    user.refresh_token = signed(604800, type="refresh")
    user.updated_at = datetime.now(UTC)
    given = {"access_token": signed(1800), "refresh_token": user.refresh_token, "token_type": "bearer"}
    database.commit()
    return given


@app.get("/health/ready")
def ready() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/api/auth/login")
def login(
    database: Database,
    username: Annotated[str, Form()],
    password: Annotated[str, Form()],
    tenant_id: Annotated[str, Form()] = "",
) -> dict[str, Any]:
    found = select(User).where(or_(User.username == username, User.email == username))
    user = database.scalars(found.where(User.tenant_id == tenant_id) if tenant_id else found).first()
    if user is None or not bcrypt.checkpw(password.encode()[:72], user.hashed_password.encode()):
        raise HTTPException(401, "Incorrect username or password")
    user.last_login = datetime.now(UTC)
    return pair(user, database) | {
        "user": {
            "id": str(user.id), "email": user.email, "username": user.username, "full_name": user.full_name,
            "is_superuser": bool(user.is_superuser),
        }
    }  # fmt: skip


@app.post("/api/auth/refresh")
def refresh(database: Database, refresh_token: Annotated[str, Form()]) -> dict[str, Any]:
    user = user_of(refresh_token, database, refresh=True)
    if user.refresh_token != refresh_token:
        raise HTTPException(401, "Invalid refresh token")
    return pair(user, database)


@app.post("/api/auth/change-password")
def change_password(
    database: Database, user: Current, current_password: Annotated[str, Form()], new_password: Annotated[str, Form()]
) -> dict[str, str]:
    if not bcrypt.checkpw(current_password.encode()[:72], user.hashed_password.encode()):
        raise HTTPException(400, "Current password is incorrect")
    user = database.merge(user)
    user.hashed_password = bcrypt.hashpw(new_password.encode()[:72], bcrypt.gensalt(4)).decode()
    database.commit()
    return {"message": "Password changed successfully"}


@app.get("/api/auth/me")
def me(user: Current) -> dict[str, Any]:
    names = (
        "tenant_id", "email", "username", "full_name", "is_active", "is_superuser", "is_verified", "avatar_url", "bio",
        "phone_number", "id", "created_at", "updated_at", "last_login",
    )  # fmt: skip
    nothing = dict.fromkeys(("oauth_provider", "oauth_id", "sso_provider", "sso_id"))
    return {name: getattr(user, name) for name in names} | nothing


@app.get("/api/auth/users")
def users(
    database: Database, user: Current, page: Annotated[int, Query(ge=1)] = 1, size: Annotated[int, Query(ge=1)] = 100
) -> dict[str, Any]:
    if not user.is_superuser:
        raise HTTPException(403, "Not enough permissions")
    theirs = select(User).where(User.tenant_id == user.tenant_id)
    total = database.scalar(select(func.count()).select_from(theirs.subquery()))
    found = database.scalars(theirs.order_by(User.created_at, User.id).offset((page - 1) * size).limit(size))
    names = ("id", "email", "username", "full_name", "is_active", "is_superuser", "created_at")
    return {
        "users": [{name: getattr(one, name) for name in names} for one in found], "total": total, "page": page, "size": size,
    }  # fmt: skip


@app.get("/api/licenses/validate")
def validate(database: Database, license_key: str) -> dict[str, Any]:
    row = database.execute(
        select(License, Tenant)
        .outerjoin(Tenant, Tenant.id == License.tenant_id)
        .where(License.license_key == license_key)
    ).first()
    if row is None:
        return {"valid": False, "error": "License not found", "details": "No license has this key"}
    found, tenant = row
    ends = found.issued_at + timedelta(days=found.validity_days) if found.issued_at and found.validity_days else None
    if ends is not None and ends <= datetime.now(UTC):
        return {"valid": False, "error": "License has expired", "details": f"Expired on {ends:%Y-%m-%d}"}
    if tenant is not None and not tenant.is_active:
        return {"valid": False, "error": "License is inactive", "details": "Tenant is inactive"}
    names = (
        "id", "license_key", "tenant_id", "template_id", "linked_subscription", "issued_at", "validity_days",
    )  # fmt: skip
    about = {name: getattr(found, name) for name in names} | {"expires_at": ends}
    return {"valid": True, "license": about, "message": "License is valid and active"}


async def canned(scope: Any, receive: Any, send: Any) -> None:
    """An upstream that costs next to nothing, so that what is measured is the way to it."""
    if scope["type"] == "http":
        head = [(b"content-type", b"application/json"), (b"content-length", b"400")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b'{"bio":"' + b"x" * 390 + b'"}'})
