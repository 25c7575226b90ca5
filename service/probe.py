"""Probes an instance over HTTP, at an address of the form that LISTEN has: HOST:PORT, [IPV6]:PORT or unix:/PATH."""

import http.client
import socket


def connect(address: str, timeout: float) -> http.client.HTTPConnection:
    """Return a connection to `address` with a timeout in seconds; raise OSError for a unix socket without listener."""
    host, _, port = address.rpartition(":")
    if host != "unix":
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)
    connection = http.client.HTTPConnection("localhost", timeout=timeout)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(timeout)
    try:
        connection.sock.connect(port)
    except OSError:
        connection.close()
        raise
    return connection


def is_serving(address: str, path: str = "/health/ready", timeout: float = 3.0) -> bool:
    """Return whether a GET of `path` is answered 200."""
    try:
        connection = connect(address, timeout)
    except OSError:
        return False
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
