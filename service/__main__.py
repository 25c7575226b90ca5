"""`python -m service`: from the environment to serving processes."""

import argparse
import http.client
import json
import logging
import os
import secrets
import socket
import sys
from typing import TYPE_CHECKING, Any

from service.config import Config, ConfigError

if TYPE_CHECKING:
    from service.store import PeopleStore


def main() -> int:
    """Serve, or check a serving instance; return the exit status: 2 for settings that make no sense."""
    parser = argparse.ArgumentParser(prog="python -m service", description="Serve people over HTTP.")
    parser.add_argument("--healthcheck", action="store_true", help="exit 0 if the instance on LISTEN is ready, else 1")
    parser.add_argument("--explain", metavar="TERM", help="print how TERM is searched for, as JSON, and exit")
    arguments = parser.parse_args()
    try:
        config = Config.from_env(os.environ)
    except ConfigError as error:
        print(f"service: {error}", file=sys.stderr)
        return 2
    if arguments.healthcheck:
        return 0 if _is_ready(config.address(1)) else 1
    # Imported only now, as a health check should not cost what a service costs to load.
    from service.app import create_app  # noqa: PLC0415
    from service.server import Supervisor  # noqa: PLC0415
    from service.store import PeopleStore  # noqa: PLC0415

    if arguments.explain is not None:
        print(json.dumps(_explain(PeopleStore(config), arguments.explain)))
        return 0
    logging.basicConfig(level=config.log_level, format="%(asctime)s %(process)d %(levelname)s %(message)s")
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


def _explain(store: "PeopleStore", term: str) -> dict[str, Any]:
    from service.person import OFFICIAL  # noqa: PLC0415

    plan, steps, people = store.explain(term)
    return {
        "plan": {"words": plan.words(0), "pattern": plan.pattern, "cost": plan.cost, "scan_first": plan.scan_first},
        "steps": [step._asdict() for step in steps],
        "people": [person.document(OFFICIAL) for person in people],
    }


def _is_ready(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    connection = http.client.HTTPConnection(host, timeout=3)
    try:
        if listen.startswith("unix:"):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(3)
            connection.sock.connect(listen.removeprefix("unix:"))
        else:
            connection.port = int(port)
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
