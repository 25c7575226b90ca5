"""TCP ports of this machine."""

import socket

from ops.errors import OperatorError
from service.person import OFFICIAL
from service.probe import is_serving


def check_port(port: int) -> None:
    """Raise OperatorError if a port cannot be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - as nginx will
        except PermissionError:
            raise OperatorError(f"port {port} is for root only; give one above 1023, as --port 9999") from None
        except OSError:
            raise OperatorError(
                f"port {port} is taken; stop what holds it (ss -ltnp shows it) or give another one, "
                f"as --port {port - 1}"
            ) from None


def is_stack_serving(port: int) -> bool:
    """Return whether requests get through the load balancer to the database and back."""
    return is_serving(f"127.0.0.1:{port}", OFFICIAL.people_count, timeout=2.0)
