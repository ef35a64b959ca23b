"""Exports as files: what is read, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration_portal.importing import files
from migration_portal.refusal import Refusal


def _read(
    path: Path, text: str | bytes, **options: str
) -> tuple[dict[str, str], tuple[str, ...], list[list[str | None]]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    table = files.table_of(path, **options)
    return table.columns, table.key, [list(row) for row in table.rows()]


def test_csv_is_read_with_its_quotes_and_lines(tmp_path: Path) -> None:
    columns, key, rows = _read(tmp_path / "My Users.csv", 'id,name,bio\n1,"Lee, ""Ann""","two\nlines"\n2,Ben,\n')
    assert list(columns) == ["id", "name", "bio"] and key == ("id",)
    assert rows == [["1", 'Lee, "Ann"', "two\nlines"], ["2", "Ben", None]]
    assert files.table_of(tmp_path / "My Users.csv").name == "my_users"


def test_records_need_not_have_the_same_fields(tmp_path: Path) -> None:
    columns, _, rows = _read(tmp_path / "u.jsonl", '{"id": 1, "a": true}\n\n{"id": 2, "b": {"c": [1, "ü"]}}\n')
    assert list(columns) == ["id", "a", "b"]
    assert rows == [["1", "true", None], ["2", None, '{"c": [1, "ü"]}']]


def test_ids_and_dates_of_mongodb_are_what_they_hold(tmp_path: Path) -> None:
    _, key, rows = _read(tmp_path / "u.jsonl", '{"_id": {"$oid": "6a"}, "at": {"$date": "2021-03-05T16:35:16.775Z"}}')
    assert key == ("_id",) and rows == [["6a", "2021-03-05T16:35:16.775Z"]]


@pytest.mark.parametrize(
    "text", ['[{"id": 1}]', '{"users": [{"id": 1}], "groups": [{"id": 9}]}', '{"people": [{"id": 1}], "n": 3}']
)
def test_a_list_is_found_in_json(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path / "u.json", text)[2] == [["1"]]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert list(_read(tmp_path / "u.csv", b"\xef\xbb\xbfid,n\n1,2\n")[0]) == ["id", "n"]


def test_a_key_may_be_named(tmp_path: Path) -> None:
    assert _read(tmp_path / "u.csv", "mail,n\na@x,1\nb@x,2\n", key="mail")[1] == ("mail",)


@pytest.mark.parametrize(
    ("name", "text", "where", "why"),
    [
        ("u.xml", "<a/>", "u.xml", "kind is not known"),
        ("u.csv", "id,n\n1,2\n3\n", "line 3", "not as many fields"),
        ("u.csv", "id,n\n1,2,3\n", "line 2", "not as many fields"),
        ("u.csv", 'id\n"1', "u.csv", "no CSV"),
        ("u.csv", "id\n", "u.csv", "no records"),
        ("u.csv", "id\n1\n1\n", "u.csv", "No column tells"),
        ("u.csv", b"id\n\xff\n", "u.csv", "not UTF-8"),
        ("u.jsonl", '{"id": 1}\n{"id": \n', "line 2", "no JSON"),
        ("u.jsonl", "[1]\n", "record 1", "no object"),
        ("u.jsonl", '{"id": "a\\u0000b"}', "record 1", "NUL"),
        ("u.json", '{"a": [{"x": 1}], "b": [{"y": 1}]}', "u.json", "no list of objects"),
        ("u.json", '{"a": 1}', "u.json", "no list of objects"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, where: str, why: str
) -> None:
    with pytest.raises(Refusal) as refused:
        _read(tmp_path / name, text)
    assert where in refused.value.subject and why in refused.value.what and refused.value.todo


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        files.table_of(tmp_path / "none.csv")
