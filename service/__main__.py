"""Starts the service: `python -m service`."""

import argparse
import os
import secrets
import signal
import sys
from typing import Any

from service import logs
from service.config import Config, ConfigError
from service.metrics import WORKER_STARTS, SharedMetrics
from service.probe import is_serving


def main() -> int:
    """Serve, probe an instance, or check the settings; return the exit status, which is 2 for invalid settings."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m service", description="Serves people over HTTP."
    )
    parser.add_argument("--healthcheck", action="store_true", help="exit 0 if the instance on LISTEN is ready, else 1")
    parser.add_argument(
        "--check",
        action="store_true",
        help="print the settings without secrets, and what is wrong with them; exit 2 then",
    )
    arguments = parser.parse_args()
    if arguments.check:
        return _check()
    try:
        config = Config.from_env(os.environ)
    except ConfigError as error:
        print(f"service: {error}", file=sys.stderr)
        return 2
    if arguments.healthcheck:
        return 0 if is_serving(config.address(1)) else 1
    return _serve(config)


def _check() -> int:
    lines, problems = Config.check(os.environ)
    print("\n".join(lines))
    for problem in problems:
        print(f"service: {problem}", file=sys.stderr)
    return 2 if problems else 0


def _serve(config: Config) -> int:
    # Imported here, so that a health check does not load the whole service.
    from service.app import create_app  # noqa: PLC0415
    from service.server import Supervisor  # noqa: PLC0415
    from service.store import PeopleStore  # noqa: PLC0415

    logs.configure(config.log_level)
    addresses = [config.address(number) for number in range(1, config.workers + 1)]
    metrics_addresses = [config.metrics_listen] if config.metrics_listen else []
    identity = secrets.token_hex(8)
    metrics = SharedMetrics(config.workers)

    def make_app(number: int) -> Any:
        if number == config.workers:
            return _make_metrics_app(metrics, config)
        metrics.attach(number)
        WORKER_STARTS.labels().increment()
        store = PeopleStore(config, f"{identity} {number}")
        return create_app(store, has_metrics=bool(config.metrics_listen))

    try:
        supervisor = Supervisor(addresses + metrics_addresses, make_app, config.shutdown_timeout)
    except OSError as error:
        others = f" and METRICS_LISTEN is {config.metrics_listen}" if config.metrics_listen else ""
        print(f"service: LISTEN is {config.listen}{others}: {error.strerror or error}", file=sys.stderr)
        return 2
    supervisor.run()
    return 0


def _make_metrics_app(metrics: SharedMetrics, config: Config) -> Any:
    # Imported in the process that serves the metrics only: the workers need neither the library nor its memory.
    from service.exposition import create_metrics_app  # noqa: PLC0415
    from service.group_watch import GroupWatch  # noqa: PLC0415

    # Prometheus keeps its connection, which would delay the end of the instance. The kernel ends this process at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return create_metrics_app(metrics, GroupWatch(config) if config.db_hosts else None)


if __name__ == "__main__":
    sys.exit(main())
