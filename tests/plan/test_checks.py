from migration_portal.plan.checks import check, lost_in_reverse
from migration_portal.plan.loader import parse
from migration_portal.plan.model import ColumnInfo, ForeignKey, TableInfo, Unique

PLAN = """
[[tables]]
source = "users"
target = "people"
key = ["id"]
[tables.columns]
id = "id::uuid"
name = "lower(name)"
[tables.reverse]
id = "id::text"
"""


def info(name: str, *columns: str, key: tuple[str, ...] = ("id",), not_null: tuple[str, ...] = (), **more) -> TableInfo:
    findings = {column: ColumnInfo(column, "text", column in not_null, False) for column in columns}
    return TableInfo(name, findings, key, **more)


def errors(plan: str = PLAN, source: TableInfo | None = None, target: TableInfo | None = None) -> list[str]:
    source = source or info("users", "id", "name")
    target = target or info("people", "id", "name")
    findings = check(parse(plan), {source.name: source}, {target.name: target})
    return [f"{finding.severity}: {finding.subject}" for finding in findings]


def test_a_plan_that_fits_has_no_findings() -> None:
    assert errors() == []


def test_a_legacy_table_without_primary_key_is_an_error() -> None:
    assert errors(source=info("users", "id", "name", key=())) == ["error: users"]


def test_a_unique_index_serves_as_key() -> None:
    unique = {"key": ("name",), "uniques": {"users_id": Unique(("id",))}}
    assert errors(source=info("users", "id", "name", not_null=("id",), **unique)) == []
    # A row whose key has a NULL is told from no other.
    assert errors(source=info("users", "id", "name", **unique)) == ["error: users"]


def test_a_unique_index_over_some_rows_or_an_expression_is_no_key() -> None:
    for unique in (Unique(("id",), ("id",), "id > 0"), Unique(("id",), ("lower(id)",))):
        assert errors(source=info("users", "id", "name", key=("name",), uniques={"users_id": unique})) == [
            "error: users"
        ]


def test_a_column_the_iam_lacks_is_an_error() -> None:
    assert errors(target=info("people", "id")) == ["error: people.name"]


def test_a_not_null_column_without_a_value_is_an_error() -> None:
    target = info("people", "id", "name", "tenant_id", not_null=("tenant_id",))
    assert errors(target=target) == ["error: people.tenant_id"]


def test_an_unmapped_legacy_column_is_a_warning() -> None:
    assert errors(source=info("users", "id", "name", "nickname")) == ["warning: users.nickname"]


def test_an_ignored_column_is_left_in_peace() -> None:
    plan = PLAN.replace('key = ["id"]', 'key = ["id"]\nignored = ["nickname"]')
    assert errors(plan, source=info("users", "id", "name", "nickname")) == []


def test_a_missing_table_on_either_side_is_an_error() -> None:
    assert errors(source=info("others", "id")) == ["error: users"]
    assert errors(target=info("others", "id")) == ["error: people"]


def test_a_parent_filled_later_is_an_error() -> None:
    plan = PLAN + PLAN.replace('"users"', '"groups"').replace('"people"', '"teams"')
    target = info("people", "id", "name", foreign_keys=(ForeignKey("f", ("name",), "teams", ("id",)),))
    source = {name: info(name, "id", "name") for name in ("users", "groups")}
    findings = check(parse(plan), source, {"people": target, "teams": info("teams", "id", "name")})
    assert [(finding.subject, finding.todo) for finding in findings] == [("people", "List teams before people.")]


def test_what_the_way_back_loses_is_listed() -> None:
    plan = PLAN.replace("key", 'tenant = "id"\nkey')
    assert lost_in_reverse(parse(plan), {"users": info("users", "id", "name")}) == {"users": ["name"]}


def test_a_way_back_to_a_column_that_legacy_lacks_is_an_error() -> None:
    assert errors(PLAN + 'nick = "name"\n') == ["error: users.nick"]


def test_a_way_back_without_the_key_is_an_error() -> None:
    assert errors(PLAN.replace('id = "id::text"', 'name = "name"')) == ["error: users.id"]


def test_a_way_back_that_leaves_a_not_null_column_empty_is_an_error_also_where_it_is_ignored() -> None:
    plan = PLAN.replace('key = ["id"]', 'key = ["id"]\nignored = ["born"]')
    assert errors(plan, source=info("users", "id", "name", "born", not_null=("born",))) == ["error: users.born"]
