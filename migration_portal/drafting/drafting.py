"""A first plan from what both databases show: names, types, keys, and what sampled values look like. Pure."""

from __future__ import annotations

from migration_portal.drafting import hashes, names
from migration_portal.drafting.constants import CHOOSE, ITS_UUID, constant, organization
from migration_portal.drafting.conversion import literal
from migration_portal.drafting.evidence import Evidence
from migration_portal.drafting.matching import Match, Matching
from migration_portal.drafting.model import Draft, Line, ReadDraft, TableDraft
from migration_portal.drafting.pairing import Pairs, needs_value, of_people, pair
from migration_portal.drafting.satellites import Satellites
from migration_portal.plan.mentioned import words
from migration_portal.plan.model import TableInfo

_SECRET = {"hashed_password", "mfa_secret_encrypted", "one_time_key"}
_HARMLESS = {
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "uuid",
    "date",
    "timestamp with time zone",
    "timestamp without time zone",
}
"""Types of columns that may be called like a secret, and are none: when it expires, whether there is one."""


def draft(legacy: Evidence, iam: Evidence) -> Draft:
    """A plan that fits both catalogs as far as they tell, its tables in foreign-key order."""
    pairs = pair(legacy.tables, iam.tables)
    found = Draft([])
    for target in _in_order(pairs, iam):
        table, why_not = _Drafting(legacy, iam, pairs, target).table()
        if table is None:
            source, _, _ = pairs.pop(target)
            found.left[source] = why_not
        else:
            found.tables.append(table)
    found.rows = organization(found, iam)
    read = {name for table in found.tables for name in table.reads}
    for name in sorted(legacy.tables.keys() - read - found.left.keys() - {table.source for table in found.tables}):
        found.left[name] = _why_left(legacy.tables[name], pairs)
    found.left |= dict.fromkeys(sorted(legacy.closed), "the role may not read it")
    return found


def _why_left(info: TableInfo, pairs: Pairs) -> str:
    if of_people(info) and "users" in pairs:
        return f"it has people, as {pairs['users'][0]} has: a view of both can fill users (docs/plan-file.md, “Views”)"
    name = info.name
    like = next((target for target in sorted(pairs) if names.tables(name, target)), "")
    return f"it is like {like}, which {pairs[like][0]} fills" if like else "nothing of the IAM is like it"


def _in_order(pairs: Pairs, iam: Evidence) -> list[str]:
    """Parents before their children."""
    ordered: list[str] = []
    waiting = sorted(pairs)
    while waiting:
        ready = [
            name for name in waiting
            if not {key.parent for key in iam.tables[name].foreign_keys} & {*waiting} - {name}
        ] or waiting[:1]  # fmt: skip
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered


class _Drafting:
    """One pair of tables at work."""

    def __init__(self, legacy: Evidence, iam: Evidence, pairs: Pairs, target: str) -> None:
        self.legacy, self.iam, self.pairs = legacy, iam, pairs
        source, certainty, reason = pairs[target]
        self.source, self.target = legacy.tables[source], iam.tables[target]
        self.matching = Matching(legacy, iam, pairs, self.source, self.target)
        self.draft = TableDraft(source, target, certainty, reason, tuple(self.source.columns))

    def table(self) -> tuple[TableDraft | None, str]:
        """The drafted table, or None and why there is none."""
        for match in self.matching.assigned():
            self._map(match)
        hashes.spell(self.draft, self.legacy, self.iam, self.source)
        self._whole_names()
        self._satellites()
        self._user_name()
        if missing := self._fill():
            return None, missing
        self.draft.key = self._key()
        if not self.draft.key:
            return (
                None,
                f"its rows cannot be told apart: {self.draft.source} has no key that {self.draft.target} could follow",
            )
        self._whose()
        self._way_back()
        self._may_sign_in()
        self._told()
        return self.draft, ""

    def _map(self, match: Match) -> None:
        there, own = match.conversion.there, self.legacy.name(match.column)
        reason = (
            match.reason if match.conversion.reason == "the same type" else f"{match.reason}; {match.conversion.reason}"
        )
        if match.conversion.number:
            parent = self.matching.parent(match.target)
            of = self.pairs[parent][0] if parent in self.pairs else self.draft.source
            self.draft.lines.append(Line(match.target, match.column, match.score, reason, (match.column,), of))
            self.draft.back.append(Line(match.column, match.target, match.score, "", (match.column,), of))
            return
        self.draft.lines.append(Line(match.target, there.replace("{0}", own), match.score, reason, (match.column,)))
        if match.conversion.uuid:
            self.draft.not_uuids[match.column] = own
        if match.conversion.back and not self.source.columns[match.column].computed:
            back = match.conversion.back.replace("{0}", self.iam.name(match.target))
            self.draft.back.append(Line(match.column, back, match.score, "", (match.column,)))

    def _mapped(self) -> set[str]:
        return {line.name for line in self.draft.lines}

    def _whole_names(self) -> None:
        """A full name from a first and a last one."""
        parts = {
            names.concept(name): name
            for name in self.source.columns
            if names.concept(name) in ("first_name", "last_name")
        }
        whole = next((name for name in self.target.columns if name == "full_name"), None)
        if len(parts) < 2 or whole is None or whole in self._mapped():
            return
        first, last, full = parts["first_name"], parts["last_name"], self.iam.name(whole)
        sql = ", ".join(f"nullif({self.legacy.name(part)}, '')" for part in (first, last))
        self.draft.lines.append(Line(whole, f"concat_ws(' ', {sql})", 0.8, "first and last name", (first, last)))
        said, known = "what comes before the first space, and after it", {line.name for line in self.draft.back}
        for name, sql in (
            (first, f"split_part({full}, ' ', 1)"),
            (last, f"substr({full}, length(split_part({full}, ' ', 1)) + 2)"),
        ):
            if name not in known and not self.source.columns[name].computed:
                self.draft.back.append(Line(name, sql, 0.6, said, (name,)))

    def _user_name(self) -> None:
        """Who has none signs in with the e-mail."""
        if "username" not in self.target.columns or "username" in self._mapped():
            return
        mail = next((line for line in self.draft.lines if line.name == "email"), None)
        if mail and needs_value(self.target, "username"):
            self.draft.lines.append(Line("username", mail.sql, 0.6, "no user names: the e-mail instead", mail.uses))

    def _satellites(self) -> None:
        filled = self._mapped() | {*self.target.primary_key}
        free = [
            name
            for name, column in self.target.columns.items()
            if name not in filled and not self.matching.parent(name) and not column.computed
        ]
        taken = {source for source, _, _ in self.pairs.values()}
        for name, read, lines in Satellites(self.legacy, self.iam, self.source, self.target).look(free, taken):
            self.draft.reads[name] = read
            self.draft.lines += lines

    def _fill(self) -> str:
        """Constants for what must be filled and nothing fills. Returns what cannot be filled so."""
        for name, column in self.target.columns.items():
            if name in self._mapped() or not (needs_value(self.target, name) or name in self.target.primary_key):
                continue
            parent = self.matching.parent(name)
            if parent == "tenants" and parent not in self.pairs:
                paired = {source for source, _, _ in self.pairs.values()}
                others = sorted({key.parent for key in self.source.foreign_keys} - paired)
                sure, said = 0.8, "legacy has no tenants: all are of one"
                if others:
                    sure, said = 0.4, f"no tenants were found, so all are of one; or are they in {', '.join(others)}?"
                self.draft.lines.append(Line(name, ITS_UUID, sure, said))
            elif parent or name in self.target.primary_key:
                return f"{self.target.name} needs a {name}, and nothing leads to one"
            else:
                default = next(iter(self.matching.allowed(column)), None)
                said = literal(default) if default else constant(column)
                self.draft.defaults.append(Line(name, said, *CHOOSE))
        return ""

    def _key(self) -> tuple[str, ...]:
        """A key that part of the IAM's key follows from: what is deleted in legacy must be found there."""
        made_of = [set(line.uses) for line in self.draft.lines if line.name in self.target.primary_key]
        for key in self.source.keys:
            if not all(self.source.columns[name].not_null for name in key):
                continue
            if key and any(uses and uses <= set(key) for uses in made_of):
                return key
        return ()

    def _whose(self) -> None:
        if self.target.name == "tenants":
            self.draft.tenant = self.target.primary_key[0]
            return
        for key in self.target.foreign_keys:
            if len(key.columns) == 1 and key.columns[0] in self._mapped():
                if key.parent == "tenants" and self._always(key.columns[0]):
                    self.draft.tenant = key.columns[0]
                    return
                if key.parent == "users" and key.parent in self.pairs and self.draft.through is None:
                    self.draft.through = key.parent, key.columns[0]
        if self.draft.through and not self._tenanted(self.draft.through[0]):
            self.draft.through = None

    def _always(self, column: str) -> bool:
        """Whether every row has one, as far as is seen: roles of all tenants have none."""
        uses = next(line.uses for line in self.draft.lines if line.name == column)
        return self.target.columns[column].not_null or all(
            None not in self.legacy.values(self.source.name, name) for name in uses
        )

    def _tenanted(self, parent: str) -> bool:
        return any(key.parent == "tenants" for key in self.iam.tables[parent].foreign_keys)

    def _way_back(self) -> None:
        """The reverse section is whole, or there is none."""
        restored = {line.name for line in self.draft.back}
        if not set(self.draft.key) <= restored:
            self.draft.back = []
            for read in self.draft.reads.values():
                read.back = []
            return
        for name, column in self.source.columns.items():
            if needs_value(self.source, name) and name not in restored and not column.computed:
                allowed = self.legacy.allowed.get((self.source.name, name))
                said = literal(allowed[0]) if allowed else constant(column)
                self.draft.back.append(Line(name, said, *CHOOSE, (name,)))
        for source, read in self.draft.reads.items():
            if read.back and self.draft.tenant:
                [(link, key)] = read.link.items()
                way = next((line for line in self.draft.back if line.name == key), None)
                if way is None or self.draft.key != (key,):
                    read.back = []
                    continue
                read.back.insert(0, Line(link, way.sql, way.certainty, "", number_of=way.number_of))
                self._fill_read(source, read)
            else:
                read.back = []

    def _fill_read(self, source: str, read: ReadDraft) -> None:
        info = self.legacy.tables[source]
        for name, column in info.columns.items():
            if needs_value(info, name) and name not in {line.name for line in read.back} and not column.computed:
                read.back.append(Line(name, constant(column), *CHOOSE))

    def _may_sign_in(self) -> None:
        """Who is switched off in legacy must not be switched on by what nobody said."""
        told = any(line.name == "is_active" for line in self.draft.lines)
        if self.target.name == "users" and "is_active" in self.target.columns and not told:
            said = "nothing of legacy's is known to say who is switched off: as it is, everybody may sign in"
            self.draft.lines.append(Line("is_active", "true", 0.3, said))

    def _told(self) -> None:
        """What is left over, what is secret, and the order in which people look for it."""
        used = {name for line in self.draft.lines for name in line.uses} | {*self.draft.key}
        left = [name for name in self.source.columns if name not in used]
        own = [name for name in left if (name,) == self.source.primary_key and self.source.columns[name].has_default]
        self.draft.ignored, self.draft.unmapped = own, [name for name in left if name not in own]
        columns = [*self.source.columns.values(), *self.target.columns.values()]
        mentioned = set(words(" ".join(line.sql for line in self.draft.lines)))
        for source, read in self.draft.reads.items():
            there = self.legacy.tables[source].columns
            columns += there.values()
            if not read.back:
                read.lost = [name for name in there if name in mentioned and name not in read.link]
        telling = {name for line in self.draft.lines if names.concept(line.name) in _SECRET for name in words(line.sql)}
        self.draft.secret = list(
            dict.fromkeys(
                column.name
                for column in columns
                if column.type not in _HARMLESS and (_is_secret(column.name) or column.name in telling)
            )
        )
        for lines, order in ((self.draft.lines, [*self.target.columns]), (self.draft.back, [*self.source.columns])):
            lines.sort(key=lambda line, order=order: order.index(line.name))  # type: ignore[misc]


def _is_secret(name: str) -> bool:
    told = ("password", "passwd", "secret", "token", "api_key", "apikey", "private_key")
    return names.concept(name) in _SECRET or any(word in name.lower() for word in told)
