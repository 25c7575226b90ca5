"""TCP ports of this machine."""

import socket

from ops.errors import OperatorError
from service.person import OFFICIAL
from service.probe import is_serving

_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - all addresses, as nginx will listen


def has_ipv6() -> bool:
    """Return whether a process can listen on IPv6. The kernel may be built or started without IPv6."""
    try:
        _bind(socket.AF_INET6, 0)
    except OSError:
        return False
    return True


def check_port(port: int) -> None:
    """Raise OperatorError if a port cannot be bound, on IPv4 or on IPv6.

    Clients try the addresses of `localhost` in an order of their own, so the port must be free on both.
    """
    for family in (socket.AF_INET, socket.AF_INET6) if has_ipv6() else (socket.AF_INET,):
        try:
            _bind(family, port)
        except PermissionError:
            raise OperatorError(f"port {port} is for root only; give one above 1023, as --port 9999") from None
        except OSError:
            raise OperatorError(
                f"port {port} is taken{' on IPv6' if family == socket.AF_INET6 else ''}; stop what holds it "
                f"(ss -ltnp shows it) or give another one, as --port {port - 1}"
            ) from None


def _bind(family: socket.AddressFamily, port: int) -> None:
    """Bind a port of all addresses of a family for a moment; raise OSError if that is impossible."""
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((_ANY[family], port))


def is_stack_serving(port: int) -> bool:
    """Return whether requests get through the load balancer to the database and back."""
    return is_serving(f"127.0.0.1:{port}", OFFICIAL.people_count, timeout=2.0)
