"""Reads metrics as Prometheus does."""

from prometheus_client.parser import text_string_to_metric_families

from tests.support.client import OverTheWire

Samples = dict[str, float]  # by name and labels: "name label=value …", with the labels in alphabetical order


def parse_samples(text: str) -> Samples:
    """Return the samples of an answer in the format of Prometheus."""
    return {
        " ".join([sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(client: OverTheWire, path: str = "/metrics") -> Samples:
    """Return the samples that an address answers."""
    answer = client.request("GET", path)
    assert answer.status == 200, answer
    return parse_samples(answer.body.decode())


def requests_of(samples: Samples) -> dict[tuple[str, str, int], float]:
    """Return the number of requests by method, route and status."""
    counts = {}
    for name, value in samples.items():
        metric, *labels = name.split(" ")
        if metric == "http_server_request_duration_seconds_count":
            method, status, route = (label.partition("=")[2] for label in labels)
            counts[method, route, int(status)] = value
    return counts
