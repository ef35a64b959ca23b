"""Searching the log: the latest events that match come first, a page at a time, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from typing import Any

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.fields.json import KT
from django.http import QueryDict

from flags.models import TenantHome
from iam.models import User
from migration_portal import console
from migration_portal.audit.models import Event, spellings, today
from migration_portal.refusal import Refusal

PAGE = 50
SAMPLE = 5_000
"""Facets count the latest of the events that match."""
_MOST_IDS = 100
_MOST_OF_A_FACET = 8
_RARE_MS = 200


@dataclass(frozen=True)
class Search:
    """What is looked for; all that is said must hold.

    `q` is anything: a person, a tenant, an id, an operator's name, words of a reason. `since` and `until` are times as they were
    typed; `before` is where a page begins.
    """

    q: str = ""
    actor: str = ""
    approver: str = ""
    verb: str = ""
    object_type: str = ""
    object_id: str = ""
    tenant: str = ""
    run: str = ""
    request_id: str = ""
    since: str = ""
    until: str = ""
    before: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Search:
        return cls(**{each.name: query.get(each.name, "").strip()[:200].replace("\0", "") for each in fields(cls)})

    def query(self, **changed: str) -> str:
        """As a query string, with these changed; a page's place is left out."""
        made = QueryDict(mutable=True)
        made.update(replace(self, **changed).said)
        return made.urlencode()

    @property
    def said(self) -> dict[str, str]:
        """What is looked for, by its names."""
        return {
            each.name: value for each in fields(self) if each.name != "before" and (value := getattr(self, each.name))
        }

    def page(self) -> list[Event]:
        """Up to PAGE events and one more, which says that another page follows. Raises Refusal."""
        rows = self._rows()
        if self.before:
            at, _, pk = self.before.rpartition("/")
            moment, number = console.moment(at), console.whole(pk, 0, 10**11)
            if moment is None or number is None:
                raise Refusal("That is no page of the log.", todo="Search again.")
            rows = rows.filter(Q(at__lt=moment) | Q(at=moment, pk__lt=number), at__lte=moment)
        return self._latest(rows, PAGE + 1)

    def facets(self) -> dict[str, list[tuple[str, int]]]:
        """How often each actor, verb and kind of object comes among the latest SAMPLE events that match. Raises Refusal."""
        rows = self._rows().values_list("pk", "actor", "verb", "object_type")
        found = {row[0]: row[1:] for row in self._each(rows, SAMPLE)}.values()
        counted: dict[str, Counter[str]] = {
            "actor": Counter(actor for actor, _, _ in found),
            "verb": Counter(today(verb) for _, verb, _ in found),
            "object_type": Counter(kind for _, _, kind in found if kind),
        }
        return {
            name: sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_OF_A_FACET]
            for name, counts in counted.items()
        }

    def everything(self) -> QuerySet[Event]:
        """All that match, for an export. Raises Refusal."""
        rows, wanted = self._rows(), Q()
        for branch in self._branches:
            wanted |= branch
        return rows.filter(wanted | Q(words=SearchQuery(self.q, config="simple")) if self.q else wanted)

    def _latest(self, rows: QuerySet[Event], most: int) -> list[Event]:
        found = {event.pk: event for event in self._each(rows, most)}
        return list(islice(sorted(found.values(), key=lambda event: (event.at, event.pk), reverse=True), most))

    def _each(self, rows: QuerySet[Any], most: int) -> Iterator[Any]:
        """The latest of each branch by its own index: one query for all of them would sort every match."""
        for branch in self._branches:
            yield from rows.filter(branch)[:most]
        if self.q:
            yield from _by_words(rows.filter(words=SearchQuery(self.q, config="simple"))[:most])

    def _rows(self) -> QuerySet[Event]:
        rows = Event.objects.order_by("-at", "-id").alias(
            words=SearchVector("reason", config="simple"), of_tenant=KT("data__tenant"), agreed_by=KT("data__approver"),
        )  # fmt: skip
        exact = {"actor": self.actor, "agreed_by": self.approver, "object_type": self.object_type,
                 "object_id": self.object_id, "request_id": self.request_id, "of_tenant": self.tenant}  # fmt: skip
        rows = rows.filter(**{name: value for name, value in exact.items() if value})
        if self.verb:
            rows = rows.filter(verb__in=spellings(self.verb))
        if self.run:
            number = console.whole(self.run.lower().removeprefix("run"), 0, 10**11)
            if number is None:
                raise Refusal("That is no run's number.", subject=self.run, todo="Write 7 or Run 7.")
            rows = rows.filter(run=number)
        since, until = console.moment(self.since), console.moment(self.until)
        if since:
            rows = rows.filter(at__gte=since)
        if until:
            rows = rows.filter(at__lte=until)
        return rows

    @cached_property
    def _branches(self) -> Sequence[Q]:
        if not self.q:
            return [Q()]
        tenants = list(TenantHome.objects.filter(name=self.q).values_list("pk", flat=True)[:_MOST_IDS])
        ids = [self.q, self.q.lower(), *tenants, *_people(self.q)]
        return [
            Q(object_id__in=list(dict.fromkeys(ids))), Q(actor=self.q), Q(request_id=self.q),
            Q(of_tenant__in=[self.q, *tenants]),
        ]  # fmt: skip


def _by_words(rows: QuerySet[Any]) -> list[Any]:
    """By the index of words, whose matches have to be sorted; of a word that is everywhere the latest are found sooner without.

    How rare a word is the server cannot tell beforehand: one that it has never seen counts as one of thousands.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL statement_timeout = {_RARE_MS}"
            )
            return list(rows)
    except OperationalError:
        return list(rows)


def _people(text: str) -> Iterator[str]:
    """The ids of the IAM's users of that e-mail address or name; none while it does not answer: the rest is still found."""
    try:
        for pk in User.objects.filter(Q(email=text) | Q(username=text)).values_list("pk", flat=True)[:_MOST_IDS]:
            yield str(pk)
    except DatabaseError:
        return


def differences(event: Event) -> list[tuple[str, str, str]]:
    """What the event changed: name, before, after. Empty where it does not say."""
    before, after = event.data.get("from"), event.data.get("to")
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted({*before, *after})
        return [(n, _text(before.get(n)), _text(after.get(n))) for n in names if before.get(n) != after.get(n)]
    return [("", _text(before), _text(after))] if "from" in event.data or "to" in event.data else []


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    return "—" if value in (None, "") else str(value)
