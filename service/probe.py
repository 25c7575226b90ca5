"""Probes an instance over HTTP, at an address of the form that LISTEN has: HOST:PORT, [IPV6]:PORT or unix:/PATH."""

import http.client
import json
import socket

LIVE, READY = "/health/live", "/health/ready"


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


def is_serving(address: str, path: str = READY, timeout: float = 3.0) -> bool:
    """Return whether a GET of `path` is answered 200."""
    try:
        return _get(address, path, timeout)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def why_not_ready(address: str, timeout: float = 3.0) -> str:
    """Return why an instance is not ready, "" if it is."""
    try:
        status, body = _get(address, READY, timeout)
        return "" if status == 200 else str(json.loads(body)["detail"])
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return f"it does not answer ({error})"


def _get(address: str, path: str, timeout: float) -> tuple[int, bytes]:
    """Return the status and the body of the answer to a GET; raise OSError or HTTPException without an answer."""
    connection = connect(address, timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
