"""A draft as the text of a plan file: every line with how certain it is, and why. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import tomlkit
from tomlkit.items import AoT, Comment, Table

from migration_portal.drafting.model import UNSURE, Draft, Line, ReadDraft, TableDraft


def text(draft: Draft, name: str, *, source_schema: str = "public") -> str:
    """A plan file that the loader reads."""
    document = tomlkit.document()
    document.add(
        _comment(
            "A first plan, drafted from both catalogs and some rows. Behind each line: how certain it is, and why."
        )
    )
    document.add(
        _comment(f"What says LOOK is under {UNSURE:.0%}: decide it. Then run pre-flight, which says what is left.")
    )
    document.add("name", tomlkit.string(name))
    if source_schema != "public":
        document.add("source_schema", tomlkit.string(source_schema))
    rows = tomlkit.aot()
    for target, lines in draft.rows.items():
        rows.append(_row(target, lines))
    if len(rows):
        document.add("rows", rows)
    document.add("tables", _tables(draft.tables))
    for source, why in draft.left.items():
        document.add(_comment(f"{source} stays behind: {why}."))
    return tomlkit.dumps(document)


def _row(target: str, lines: list[Line]) -> Table:
    row = tomlkit.table()
    row.add("target", tomlkit.string(target))
    row.add("columns", _section(lines))
    return row


def _tables(drafts: list[TableDraft]) -> AoT:
    tables = tomlkit.aot()
    for draft in drafts:
        tables.append(_table(draft))
    return tables


def _table(draft: TableDraft) -> Table:
    table = tomlkit.table()
    table.add(_comment(f"{draft.certainty:.0%} · {draft.reason}"))
    table.add("source", tomlkit.string(draft.source))
    table.add("target", tomlkit.string(draft.target))
    table.add("key", list(draft.key))
    if draft.tenant:
        table.add("tenant", tomlkit.string(draft.tenant))
    elif draft.through:
        through = tomlkit.inline_table()
        through.update({draft.through[0]: draft.through[1]})
        table.add("tenant_through", through)
    if draft.ignored:
        table.add("ignored", draft.ignored)
        table["ignored"].comment("legacy gives these numbers itself")  # type: ignore[union-attr]
    if draft.unmapped:
        table.add(_comment(f"Mapped nowhere: {', '.join(draft.unmapped)}. Map them, or list them: ignored = [...]"))
    if draft.secret:
        table.add("secret", draft.secret)
    if not draft.back:
        table.add(
            _comment(
                "No way back: nothing leads from the IAM's key to legacy's. To cut tenants over all the same, for good:"
            )
        )
        table.add(
            _comment(
                f"ignored = {json.dumps(list(dict.fromkeys([*draft.ignored, *draft.columns])), ensure_ascii=False)}"
            )
        )
    table.add("columns", _section(draft.lines, draft.source))
    if draft.defaults:
        table.add("defaults", _section(draft.defaults))
    if draft.not_uuids:
        table.add("reject", _not_uuids(draft.not_uuids))
    if draft.reads:
        reads = tomlkit.table(is_super_table=True)
        for source, read in draft.reads.items():
            reads.add(source, _read(read, draft.source))
        table.add("reads", reads)
    if draft.back:
        table.add("reverse", _section(draft.back, draft.source))
    return table


def _read(read: ReadDraft, reader: str) -> Table:
    table = tomlkit.table()
    link = tomlkit.inline_table()
    link.update(read.link)
    table.add("link", link)
    if read.unmapped:
        table.add(_comment(f"Mapped nowhere: {', '.join(read.unmapped)}. List them: ignored = [...]"))
    if read.lost:
        names = ", ".join(f'"{name}"' for name in read.lost)
        table.add(
            _comment(
                f"Nothing leads back into it: what the IAM changes of it stays there. To accept that: ignored = [{names}]"
            )
        )
    if read.back:
        table.add("reverse", _section(read.back, reader))
    return table


def _not_uuids(columns: dict[str, str]) -> Table:
    rules = tomlkit.table()
    for column, sql in columns.items():
        rule = tomlkit.inline_table()
        rule.update({"uuid": sql})
        rules.add(f"{column}_not_uuid", rule)
    return rules


def _section(lines: Iterable[Line], source: str = "") -> Table:
    section = tomlkit.table()
    for line in lines:
        item: Any = tomlkit.string(line.sql)
        if line.number_of:
            item = tomlkit.inline_table()
            item.update({"number": line.sql} | ({} if line.number_of == source else {"of": line.number_of}))
        said = f"{'LOOK ' if line.certainty < UNSURE else ''}{line.certainty:.0%}{' · ' + line.reason if line.reason else ''}"
        section.add(line.name, item)
        section[line.name].comment(_one_line(said))  # type: ignore[union-attr]
    return section


def _comment(text: str) -> Comment:
    return tomlkit.comment(_one_line(text))


def _one_line(text: str) -> str:
    """Names and words of legacy may hold anything; a comment may not."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
