"""Which legacy column fills which column of an IAM table. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from migration_portal.drafting import names, values
from migration_portal.drafting.conversion import Conversion, convert
from migration_portal.drafting.evidence import Evidence, Values
from migration_portal.drafting.model import BY_LOOK, ENOUGH
from migration_portal.drafting.pairing import Pairs, needs_value
from migration_portal.plan.model import ColumnInfo, TableInfo


@dataclass(frozen=True)
class Match:
    """A legacy column for an IAM column: how certain, the way from one to the other, and why."""

    column: str
    target: str
    score: float
    conversion: Conversion
    reason: str


@dataclass(frozen=True)
class Matching:
    """One pair of tables among all `pairs`."""

    legacy: Evidence
    iam: Evidence
    pairs: Pairs
    source: TableInfo
    target: TableInfo

    def assigned(self) -> list[Match]:
        """Each column of either side at most once, the best matches first."""
        ranked = sorted(self._matches(), key=lambda each: (-each.score, each.target, each.column))
        taken: list[Match] = []
        for each in ranked:
            if each.column not in {m.column for m in taken} and each.target not in {m.target for m in taken}:
                taken.append(each)
        return taken

    def _matches(self) -> Iterator[Match]:
        for target in self.target.columns.values():
            if target.computed:
                continue
            parent = self.parent(target.name)
            for column in self.source.columns.values():
                if needs_value(self.target, target.name) and self._empty(column):
                    continue
                score, why = self._alike(column, target, parent)
                if score < ENOUGH:
                    continue
                conversion = convert(column, self._found(column, parent), target, self.allowed(target))
                if conversion and score * conversion.certainty >= ENOUGH * 0.8:
                    yield Match(column.name, target.name, score * conversion.certainty, conversion, why)

    def _alike(self, column: ColumnInfo, target: ColumnInfo, parent: str) -> tuple[float, str]:
        refers = next((key.parent for key in self.source.foreign_keys if key.columns == (column.name,)), "")
        if parent in self.pairs and refers:
            same = refers == self.pairs[parent][0]
            # Of two that refer there, the one of that name.
            named = names.columns(column.name, target.name, self.source.name)
            return (0.9 + 0.09 * named, f"it refers to {refers}") if same else (0.0, "")
        if column.name in self.source.primary_key and target.name in self.target.primary_key and not parent:
            return 0.99, "the key"
        if target.name == "full_name" and column.name.lower() in ("title", "label"):  # a person's is a salutation
            return 0.0, ""
        if target.name == "mfa_secret_encrypted" and values.yes(self._given(column)):  # it says whether there is one
            return 0.0, ""
        score = names.columns(column.name, target.name, self.source.name)
        if target.name == "hashed_password" and score and self._look(column) not in ("password hash", "JSON", ""):
            return 0.6, "by its name a password; its values do not look like hashes that the IAM can check"
        look = BY_LOOK.get(names.concept(target.name))
        if score < 0.8 and look and self._look(column) == look:
            return 0.8, f"its values look like a {look}"
        said = {names.EXACT: "the same name", names.CONCEPT: "what its name means"}
        return score, said.get(score, "a similar name")

    def _look(self, column: ColumnInfo) -> str:
        return values.look(self.legacy.values(self.source.name, column.name))

    def _given(self, column: ColumnInfo) -> list[str]:
        return [value for value in self.legacy.values(self.source.name, column.name) if value is not None]

    def _empty(self, column: ColumnInfo) -> bool:
        """Whether legacy has rows, and none of them has a value."""
        return bool(self.legacy.values(self.source.name, column.name)) and not self._given(column)

    def parent(self, target: str) -> str:
        """The IAM table that this column refers to."""
        return next((key.parent for key in self.target.foreign_keys if key.columns == (target,)), "")

    def _found(self, column: ColumnInfo, parent: str) -> Values:
        """Its values; of one that refers to a paired parent those of the parent's key, so that both become the same."""
        if parent in self.pairs and parent != self.target.name:
            source = self.legacy.tables[self.pairs[parent][0]]
            if len(source.primary_key) == 1 and source.columns[source.primary_key[0]].type == column.type:
                return self.legacy.values(source.name, source.primary_key[0])
        return self.legacy.values(self.source.name, column.name)

    def allowed(self, target: ColumnInfo) -> list[str]:
        return self.iam.allowed.get((self.target.name, target.name), [])
