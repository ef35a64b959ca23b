"""Everything that is measured, in Prometheus's text format: read from what all processes share, so that any of them can answer."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

import redis
from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from flags.models import TenantHome
from legacy_compat import histograms
from migration_portal.monitoring.models import Alert, Sample
from migration_portal.monitoring.parts import parts

_LATELY = 5


def metrics(request: HttpRequest) -> HttpResponse:
    """For a scraper that knows METRICS_TOKEN; where none is set there is nothing here."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN:
        return HttpResponse(status=404)
    if not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    registry.register(_Collector())  # type: ignore[arg-type]
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Collector:
    def collect(self) -> Iterator[Metric]:
        try:
            yield from _calls()
            yield from _latency()
        except redis.RedisError:
            yield GaugeMetricFamily("sigma_redis_up", "Whether Redis answers", value=0)
        yield from _samples()
        yield from _state()


def _calls() -> Iterator[Metric]:
    calls = CounterMetricFamily("sigma_requests", "Requests answered", labels=["home", "endpoint", "kind"])
    spent = CounterMetricFamily("sigma_request_seconds", "Time spent on them", labels=["home", "endpoint"])
    for (home, endpoint, what), value in histograms.totals().items():
        if what in histograms.KINDS:
            calls.add_metric([home, endpoint, what], value)
        elif what == "ms":
            spent.add_metric([home, endpoint], value / 1000)
    yield calls
    yield spent


def _latency() -> Iterator[Metric]:
    """Quantiles over the last minutes, by home: they cannot be added up later, so they are made here, from the buckets."""
    buckets: dict[str, dict[int, int]] = {}
    now = histograms.this_minute()
    for number in range(now - _LATELY, now + 1):
        for (home, _, what), value in histograms.minute(number).items():
            if what.startswith("b"):
                mine = buckets.setdefault(home, {})
                mine[int(what[1:])] = mine.get(int(what[1:]), 0) + int(value)
    found = GaugeMetricFamily(
        "sigma_request_latency_seconds",
        f"Quantiles of the last {_LATELY} minutes, at most 2 % off",
        labels=["home", "quantile"],
    )
    for home, mine in buckets.items():
        for share in (0.5, 0.95, 0.99):
            found.add_metric([home, str(share)], (histograms.quantile(mine, share) or 0) / 1000)
    yield found


def _samples() -> Iterator[Metric]:
    found = GaugeMetricFamily("sigma_sample", "The last figure of a host or a database", labels=["source", "name"])
    newest = Sample.objects.values("source", "name").annotate(last=Max("id")).values_list("last", flat=True)
    for sample in Sample.objects.filter(pk__in=newest):
        found.add_metric([sample.source, sample.name], sample.value)
    yield found


def _state() -> Iterator[Metric]:
    alerts = GaugeMetricFamily("sigma_alerts_open", "Alerts that are open", labels=["severity"])
    for severity in Alert.Severity.values:
        alerts.add_metric([severity], Alert.objects.open().filter(severity=severity).count())
    yield alerts
    up = GaugeMetricFamily("sigma_part_up", "Whether a part of the product was seen lately", labels=["part"])
    for part in parts():
        if part.seen:
            up.add_metric([part.name], not part.trouble)
    yield up
    homes = GaugeMetricFamily("sigma_tenants", "Tenants by their home", labels=["home"])
    for home in TenantHome.Home.values:
        homes.add_metric([home], TenantHome.objects.filter(home=home).count())
    yield homes
