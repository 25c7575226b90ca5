"""The application that answers the metrics to Prometheus. The only module that knows Prometheus' library."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from service.group_watch import GroupWatch
from service.metrics import BUCKETS, METRICS, Counter, SharedMetrics

_BOUNDS = [*map(str, BUCKETS), "+Inf"]


class _InstanceCollector(Collector):
    """Reads the metrics that the workers of the instance share."""

    def __init__(self, shared: SharedMetrics) -> None:
        self._shared = shared

    def collect(self) -> Iterator[Metric]:
        """Yield each metric of the instance."""
        totals = self._shared.totals()
        for metric in METRICS:
            series = totals[metric.name].items()
            if metric.kind is Counter:
                counters = CounterMetricFamily(metric.name, metric.description, labels=metric.label_names)
                for labels, values in series:
                    counters.add_metric(labels, values[0])
                yield counters
            else:
                histograms = HistogramMetricFamily(metric.name, metric.description, labels=metric.label_names)
                for labels, (*counts, total) in series:
                    buckets = list(zip(_BOUNDS, accumulate(counts), strict=True))
                    histograms.add_metric(labels, buckets, total)
                yield histograms


class _GroupCollector(Collector):
    """Asks the members of a MySQL group when Prometheus asks."""

    def __init__(self, watch: GroupWatch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """Yield the states, the roles and the lag of the members."""
        states = GaugeMetricFamily(
            "rinha_group_member_info",
            "1 for each member of the MySQL group. AWAY: it does not answer, or accepts no clients.",
            labels=("server_address", "state", "role"),
        )
        lags = GaugeMetricFamily(
            "rinha_group_member_lag_transactions",
            "Transactions of the primary that a member has not applied. Absent without a primary, or while it is away.",
            labels=("server_address",),
        )
        for member in self._watch.look():
            states.add_metric((member.address, member.state, member.role), 1)
            if member.lag is not None:
                lags.add_metric((member.address,), member.lag)
        yield states
        yield lags


def create_metrics_app(shared: SharedMetrics, watch: GroupWatch | None = None) -> Callable[..., Any]:
    """Return the WSGI application that answers the metrics of an instance, and of its group, as Prometheus expects."""
    registry = CollectorRegistry()
    registry.register(_InstanceCollector(shared))
    if watch:
        registry.register(_GroupCollector(watch))
    return make_wsgi_app(registry)
