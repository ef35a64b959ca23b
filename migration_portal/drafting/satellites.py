"""What the tables that hang on a legacy table have of its rows: one row each, a value by name, or a credential by kind. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from migration_portal.drafting import names, values
from migration_portal.drafting.conversion import Conversion, convert, literal
from migration_portal.drafting.evidence import Evidence, Values, is_text
from migration_portal.drafting.hashes import keycloaks
from migration_portal.drafting.model import BY_LOOK, ENOUGH, Line, ReadDraft
from migration_portal.plan.model import ColumnInfo, ForeignKey, TableInfo

_TIMES = {"created_at", "updated_at", "id"}
"""What every table has of its own."""
_KEYCLOAK = {"value", "salt"}, {"hashIterations", "algorithm"}
"""Fields of a credential in two columns of JSON: its hash, and how that was made."""


@dataclass(frozen=True)
class Satellites:
    """The tables around `source`, for the columns of an IAM table that nothing fills yet."""

    legacy: Evidence
    iam: Evidence
    source: TableInfo
    target: TableInfo

    def look(self, free: list[str], taken: set[str]) -> Iterator[tuple[str, ReadDraft, list[Line]]]:
        """Each table that has something: its name, how it is read, and the lines; not the `taken` ones."""
        if len(self.source.primary_key) != 1:
            return
        for name in sorted(self.legacy.tables.keys() - taken):
            info = self.legacy.tables[name]
            link = next((key.columns[0] for key in info.foreign_keys if _leads_to(key, self.source)), None)
            if link is None:
                continue
            read = ReadDraft({link: self.source.primary_key[0]})
            lines = list(self._lines(info, link, read, free))
            free = [each for each in free if each not in {line.name for line in lines}]
            if lines:
                yield name, read, lines

    def _lines(self, info: TableInfo, link: str, read: ReadDraft, free: list[str]) -> Iterator[Line]:
        if (link,) in info.keys:
            return self._row(info, link, read, free)
        if (named := _named_values(info, link)) is not None:
            return self._attributes(info, link, *named, free)
        return self._credentials(info, link, free)

    def _row(self, info: TableInfo, link: str, read: ReadDraft, free: list[str]) -> Iterator[Line]:
        used = {link}
        for target in self._targets(free):
            fitting = (self._match(info, column, target) for column in info.columns.values() if column.name not in used)
            found = max((each for each in fitting if each), key=lambda each: each[0], default=None)
            if found is None:
                continue
            score, column_name, conversion = found
            used.add(column_name)
            yield Line(
                target.name, self._select(info, link, conversion.there, column_name), score, f"{info.name} has it, one row each"
            )  # fmt: skip
            if conversion.back:
                read.back.append(
                    Line(column_name, conversion.back.replace("{0}", self.iam.name(target.name)), score, "")
                )
        read.unmapped = [name for name in info.columns if name not in used and name not in info.primary_key]

    def _match(self, info: TableInfo, column: ColumnInfo, target: ColumnInfo) -> tuple[float, str, Conversion] | None:
        found = self.legacy.values(info.name, column.name)
        look = values.look(found)
        score = names.columns(column.name, target.name, info.name)
        if names.of_second_factor(info.name):  # what is enabled there is not the account
            score = max(score, names.columns(f"mfa_{column.name}", target.name)) if target.name != "is_active" else 0.0
        if look and BY_LOOK.get(names.concept(target.name)) == look:
            score = max(score, 0.9)
        conversion = convert(column, found, target, self._allowed(target)) if score >= ENOUGH else None
        if conversion is None or conversion.number or score * conversion.certainty < ENOUGH:
            return None
        return score * conversion.certainty * 0.95, column.name, conversion

    def _attributes(self, info: TableInfo, link: str, key: str, value: str, free: list[str]) -> Iterator[Line]:
        told = self.legacy.values(info.name, key)
        left = list(free)
        for word in sorted({each for each in told if each}):
            for target in self._targets(left):
                score = names.columns(word, target.name, self.source.name)
                found = _where(told, word, self.legacy.values(info.name, value))
                conversion = (
                    convert(info.columns[value], found, target, self._allowed(target))
                    if score >= names.CONCEPT
                    else None
                )
                if conversion and not conversion.number:
                    sql = self._select(info, link, conversion.there, value, (key, word))
                    several = (
                        max(Counter(_where(told, word, self.legacy.values(info.name, link))).values(), default=1) > 1
                    )
                    said = "several of one name, of which one is taken" if several else "nothing leads back"
                    sure = score * conversion.certainty * (0.5 if several else 0.9)
                    yield Line(target.name, sql, sure, f"{info.name} has it by name; {said}")
                    left.remove(target.name)
                    break

    def _credentials(self, info: TableInfo, link: str, free: list[str]) -> Iterator[Line]:
        """The password, where the table has several rows each and one column says of which kind."""
        if "hashed_password" not in free:
            return
        kind = next((name for name in info.columns if name in ("type", "kind", "provider", "method")), None)
        for word in values.words(self.legacy.values(info.name, kind)) if kind else ():
            told = self.legacy.values(info.name, kind) if kind else []
            owners = Counter(_where(told, word, self.legacy.values(info.name, link)))
            if kind is None or max(owners.values(), default=2) > 1:
                continue
            shown = {name: _where(told, word, self.legacy.values(info.name, name)) for name in info.columns}
            if there := self._password(shown):
                sql = self._select(info, link, there, "", (kind, word))
                yield Line(
                    "hashed_password", sql, 0.8, f"{info.name} has it, of {kind} {literal(word)}; nothing leads back"
                )
                return

    def _password(self, shown: dict[str, Values]) -> str:
        plain = next((name for name, found in shown.items() if values.look(found) == "password hash"), None)
        if plain:
            return f"r.{self.legacy.name(plain)}"
        hashed, made = (
            next((name for name, found in shown.items() if _has(found, wanted)), None) for wanted in _KEYCLOAK
        )
        if hashed is None or made is None:
            return ""
        return keycloaks(f"r.{self.legacy.name(made)}::json", f"r.{self.legacy.name(hashed)}::json")

    def _select(self, info: TableInfo, link: str, there: str, column: str, where: tuple[str, str] | None = None) -> str:
        name, key = self.legacy.name(self.source.name), self.legacy.name(self.source.primary_key[0])
        sql = there.replace("{0}", f"r.{self.legacy.name(column)}")
        condition = f"r.{self.legacy.name(link)} = {name}.{key}"
        if where:
            condition += f" AND r.{self.legacy.name(where[0])} = {literal(where[1])}"
        return f"(SELECT {sql} FROM {self.legacy.name(info.name)} AS r WHERE {condition}{' LIMIT 1' if where else ''})"

    def _targets(self, free: list[str]) -> list[ColumnInfo]:
        return [self.target.columns[name] for name in free if names.concept(name) not in _TIMES]

    def _allowed(self, target: ColumnInfo) -> list[str]:
        return self.iam.allowed.get((self.target.name, target.name), [])


def _where(told: Values, word: str, shown: Values) -> Values:
    return [value for name, value in zip(told, shown, strict=True) if name == word]


def _has(found: Values, wanted: set[str]) -> bool:
    given = [value for value in found if value]
    return bool(given) and all(wanted <= set(values.fields(value) or ()) for value in given)


def _leads_to(key: ForeignKey, source: TableInfo) -> bool:
    return key.parent == source.name and len(key.columns) == 1 and key.parent_columns == source.primary_key


def _named_values(info: TableInfo, link: str) -> tuple[str, str] | None:
    """The columns of a name and its value, where the table has such."""
    others = [
        name for name in info.columns if name != link and is_text(info.columns[name]) and name not in info.primary_key
    ]
    key = next((name for name in others if name in ("name", "key", "attribute", "attr", "property")), None)
    value = next((name for name in others if name in ("value", "val", "content")), None)
    return (key, value) if key and value else None
