"""The API's reference among the documentation."""

from __future__ import annotations

from config.settings import BASE_DIR
from iam.api.reference import as_markdown
from iam.api.root import api


def test_the_page_says_what_the_api_says() -> None:
    page = (BASE_DIR / "docs/api-reference.md").read_text(encoding="utf-8")
    assert page == as_markdown(api.get_openapi_schema()), "python -m iam.api.reference > docs/api-reference.md"


def test_every_call_and_every_shape_is_on_it() -> None:
    page, document = as_markdown(api.get_openapi_schema()), api.get_openapi_schema()
    for path, operations in document["paths"].items():
        assert all(f"### {method.upper()} `{path}`" in page for method in operations)
    assert all(f"### {name}\n" in page for name in document["components"]["schemas"])
