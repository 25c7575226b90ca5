"""Starts the service: `python -m service`."""

import argparse
import os
import secrets
import sys
from typing import Any

from service import logs
from service.config import Config, ConfigError
from service.probe import is_serving


def main() -> int:
    """Serve, or probe a serving instance; return the exit status, which is 2 for invalid settings."""
    parser = argparse.ArgumentParser(prog="python -m service", description="Serves people over HTTP.")
    parser.add_argument("--healthcheck", action="store_true", help="exit 0 if the instance on LISTEN is ready, else 1")
    arguments = parser.parse_args()
    try:
        config = Config.from_env(os.environ)
    except ConfigError as error:
        print(f"service: {error}", file=sys.stderr)
        return 2
    if arguments.healthcheck:
        return 0 if is_serving(config.address(1)) else 1
    return _serve(config)


def _serve(config: Config) -> int:
    # Imported here, so that a health check does not load the whole service.
    from service.app import create_app  # noqa: PLC0415
    from service.server import Supervisor  # noqa: PLC0415
    from service.store import PeopleStore  # noqa: PLC0415

    logs.configure(config.log_level)
    addresses = [config.address(number) for number in range(1, config.workers + 1)]
    identity = secrets.token_hex(8)

    def make_app(worker: int) -> Any:
        return create_app(PeopleStore(config, f"{identity} {worker}"))

    try:
        supervisor = Supervisor(addresses, make_app, config.shutdown_timeout)
    except OSError as error:
        print(f"service: LISTEN is {config.listen}: {error.strerror or error}", file=sys.stderr)
        return 2
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
