"""The new API put together."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from iam.api import auth, notices, organization, problems, users


class JsonParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        """Raises HttpError for a body that is no JSON, or nested too deep for anybody to have meant it."""
        try:
            body = super().parse_body(request)
            if b"\\u" in request.body:  # half a surrogate pair is no text
                json.dumps(body, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise HttpError(400, "The body is no JSON that can be read.") from None
        return body


class Api(NinjaAPI):
    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """As ninja makes it, with problems under their own media type (RFC 9457)."""
        schema = super().get_openapi_schema(**options)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, response in operation.get("responses", {}).items():
                    if int(status) >= 400 and "content" in response:
                        response["content"] = {problems.CONTENT_TYPE: next(iter(response["content"].values()))}
        return schema


api = Api(
    title="Sigma IAM", version="2.0", parser=JsonParser(), urls_namespace="api-v1",
    description="Sign-in, users, roles and licences of the tenants that live in the IAM. Errors are RFC 9457 problem details.",
)  # fmt: skip
problems.install(api)
for prefix, router in (
    ("/auth", auth.router), ("/me", auth.me), ("/me/mfa", auth.second_factor), ("/users", users.router),
    ("/notices", notices.router),
    ("/tenants", organization.tenants), ("/roles", organization.roles), ("/licenses", organization.licenses),
):  # fmt: skip
    api.add_router(prefix, router)
