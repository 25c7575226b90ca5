"""The application that answers the metrics to Prometheus. The only module that knows Prometheus' library."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

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


def create_metrics_app(shared: SharedMetrics) -> Callable[..., Any]:
    """Return the WSGI application that answers the metrics of an instance in the format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_InstanceCollector(shared))
    return make_wsgi_app(registry)
