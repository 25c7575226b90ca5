"""Requests byte for byte, as no HTTP library sends them: each row has the bytes and the statuses that they must get."""

import socket
from typing import NamedTuple

from tests.support.client import Answer
from tests.support.traffic import answers_in

STORED = b"<nick: stored.>"  # becomes a new nickname; each 201 must have stored it
HIDDEN = b"<nick: hidden.>"  # becomes another nickname, which no search may find
HOST = b"Host: localhost\r\n"
CLOSE = HOST + b"Connection: close\r\n"
TOO_LARGE = b"Content-Length: 16385\r\n"


class Case(NamedTuple):
    """Bytes for one connection, and the statuses of all answers in order."""

    name: str
    sent: bytes
    statuses: tuple[int, ...]
    half_closes: bool = False  # at once, as a client does after its last request


def get(target: bytes, headers: bytes = CLOSE, version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    """Return a request without a body."""
    return b"%s %s %s\r\n%s\r\n" % (method, target, version, headers)


def post(body: bytes, headers: bytes = b"", connection: bytes = CLOSE, version: bytes = b"HTTP/1.1") -> bytes:
    """Return a creation with these headers; `%d` in them becomes the length of the body."""
    headers = headers.replace(b"%d", b"%d" % len(body))
    return b"POST /pessoas %s\r\n%sContent-Type: application/json\r\n%s\r\n%s" % (version, connection, headers, body)


def person(nickname: bytes) -> bytes:
    """Return the JSON of a person."""
    return b'{"apelido":"%s","nome":"Ana","nascimento":"2000-01-01"}' % nickname


def chunk(data: bytes) -> bytes:
    """Return a chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


ANA = person(STORED)
COUNT = get(b"/contagem-pessoas", HOST)
LAST = get(b"/contagem-pessoas")
LENGTH = b"Content-Length: %d\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = post(person(HIDDEN), LENGTH)

TABLE = [
    # Several requests on one connection.
    Case("ten requests in one segment", COUNT * 9 + LAST, (200,) * 10),
    Case("a creation between reads", COUNT + post(ANA, LENGTH, HOST) + LAST, (200, 201, 200)),
    Case("a creation after one that is refused", post(b"{}", LENGTH, HOST) + post(ANA, LENGTH), (422, 201)),
    Case("a read after a body of another type", post(ANA, LENGTH, HOST).replace(b"/json", b"/xml") + LAST, (415, 200)),
    Case("a read after a method that is unknown", b"BREW /pessoas HTTP/1.1\r\n" + HOST + b"\r\n" + LAST, (405, 200)),
    Case("a creation after garbage", COUNT + b"garbage\r\n\r\n" + SMUGGLED, (200, 400)),
    Case("a creation after a body too large", post(b"", TOO_LARGE) + SMUGGLED, (413,)),
    Case("a creation after Connection: close", LAST + SMUGGLED, (200,)),
    Case("empty lines before a request", b"\r\n\r\n" + LAST, (200,)),
    # A client that closes its side still reads.
    Case("half-closed after a read", COUNT, (200,), half_closes=True),
    Case("half-closed after a creation", post(ANA, LENGTH), (201,), half_closes=True),
    Case("half-closed after three requests", COUNT * 2 + post(ANA, LENGTH, HOST), (200, 200, 201), half_closes=True),
    Case("half-closed in the middle of a body", post(person(HIDDEN), LENGTH)[:-9], (), half_closes=True),
    Case("half-closed in the middle of a chunk", post(chunk(person(HIDDEN))[:-9], CHUNKED), (), half_closes=True),
    Case("half-closed in the middle of the headers", COUNT[:-9], (), half_closes=True),
    Case("closed without a byte", b"", (), half_closes=True),
    Case("empty lines and no more", b"\r\n" * 3, (), half_closes=True),
    # Ambiguous lengths of a body.
    Case("Content-Length and chunked", post(b"0\r\n\r\n" + SMUGGLED, LENGTH + CHUNKED, HOST), (400,)),
    Case("chunked and Content-Length", post(b"0\r\n\r\n" + SMUGGLED, CHUNKED + b"Content-Length: 3\r\n", HOST), (400,)),
    Case("two equal Content-Lengths", post(person(HIDDEN), LENGTH * 2), (400,)),
    Case("two Content-Lengths", post(person(HIDDEN), LENGTH + b"Content-Length: 0\r\n", HOST), (400,)),
    Case("a list of Content-Lengths", post(person(HIDDEN), b"Content-Length: %d, %d\r\n"), (400,)),
    Case("chunked twice", post(chunk(person(HIDDEN)) + b"0\r\n\r\n", CHUNKED * 2), (400,)),
    *(
        Case(f"Transfer-Encoding: {value}", post(b"0\r\n\r\n" + SMUGGLED, f"Transfer-Encoding: {value}\r\n".encode()),
             (400,))
        for value in ("xchunked", "identity", "gzip, chunked", "chunked, identity", '"chunked"', "chunked\x0b")
    ),
    Case("a space before the colon", post(b"0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding : chunked\r\n"), (400,)),
    Case("chunked in HTTP/1.0", post(chunk(person(HIDDEN)) + b"0\r\n\r\n", CHUNKED, version=b"HTTP/1.0"), (400,)),
    Case("names with underscores are no names",
         post(ANA, LENGTH + b"Content_Length: 3\r\nTransfer_Encoding: chunked\r\n"), (201,)),
    Case("Content-Length called hop-by-hop", post(ANA, LENGTH, CLOSE.replace(b"close", b"close, Content-Length")),
         (201,)),
    Case("no length at all", post(SMUGGLED), (400,)),
    Case("a request in the body of a read", get(b"/contagem-pessoas", CLOSE + b"Content-Length: %d\r\n" % len(SMUGGLED))
         + SMUGGLED, (200,)),
    Case("a request in the chunks of a read", get(b"/contagem-pessoas", CLOSE + CHUNKED) + chunk(SMUGGLED)
         + b"0\r\n\r\n", (200,)),
    *(
        Case(f"a request in the body of a {method}",
             get(b"/pessoas", HOST + b"Content-Length: %d\r\n" % len(SMUGGLED), method=method.encode())
             + SMUGGLED + LAST, (405, 200))
        for method in ("PUT", "BREW")
    ),
    # Chunks.
    Case("chunks", post(chunk(ANA[:7]) + chunk(ANA[7:]) + b"0\r\n\r\n", CHUNKED), (201,)),
    Case("chunks and trailers", post(chunk(ANA) + b"0\r\nContent-Length: 5\r\nX: y\r\n\r\n", CHUNKED), (201,)),
    Case("chunks with extensions", post(chunk(ANA).replace(b"\r", b';a="b"\r', 1) + b"0;c\r\n\r\n", CHUNKED), (201,)),
    *(
        Case(f"a chunk of size {size}", post(b"%s\r\n%s\r\n0\r\n\r\n" % (size.encode(), person(HIDDEN)), CHUNKED),
             (400,))
        for size in ("", "zz", "-5", "0x5", "5", "ffffffffffffffff", "8000000000000000", "1000000000000003e")
    ),
    Case("a chunk of 4 GiB", post(b"100000000\r\n" + person(HIDDEN), CHUNKED), (413,)),
    Case("chunks larger than the limit", post((chunk(b" " * 4095) * 5) + b"0\r\n\r\n", CHUNKED), (413,)),
    # Lengths.
    *(
        Case(f"Content-Length: {value}", post(person(HIDDEN), f"Content-Length: {value}\r\n".encode()), (400,))
        for value in ("-1", "-0", "+5", "abc", "", "0x10", "1e3", "5.0", "5 5", "9223372036854775808",
                      "18446744073709551616", "18446744073709551684", "9" * 40)
    ),
    *(
        Case(f"Content-Length: {value}", post(person(HIDDEN), f"Content-Length: {value}\r\n".encode()), (413,))
        for value in (16385, 2**31, 2**32, 2**32 + 68, 2**63 - 1)
    ),
    Case("a length with zeros before it", post(ANA, b"Content-Length: 0000%d\r\n"), (201,)),
    Case("a length that is too short", post(ANA, b"Content-Length: 5\r\n"), (400,)),
    # Lines and headers.
    Case("bare LF", LAST.replace(b"\r\n", b"\n"), (200,)),
    Case("bare CR", LAST.replace(b"\r\n", b"\r"), (400,)),
    Case("a folded header", get(b"/contagem-pessoas", CLOSE + b"X-A: 1\r\n 2\r\n"), (400,)),
    Case("a folded Transfer-Encoding", post(b"0\r\n\r\n" + SMUGGLED, b"Transfer-Encoding:\r\n chunked\r\n"), (400,)),
    Case("a header of 7 kB", get(b"/contagem-pessoas", CLOSE + b"X-A: " + b"a" * 7000 + b"\r\n"), (200,)),
    Case("a header of 20 kB", get(b"/contagem-pessoas", CLOSE + b"X-A: " + b"a" * 20_000 + b"\r\n"), (400,)),
    Case("400 headers of 90 bytes", get(b"/contagem-pessoas", CLOSE + (b"X-A: " + b"a" * 83 + b"\r\n") * 400), (400,)),
    Case("2,000 small headers", get(b"/contagem-pessoas", CLOSE + b"X: y\r\n" * 2000), (400,)),
    Case("a header without a name", get(b"/contagem-pessoas", CLOSE + b": x\r\n"), (400,)),
    Case("a space in a name", get(b"/contagem-pessoas", CLOSE + b"X Y: x\r\n"), (400,)),
    Case("a first header that is folded", get(b"/contagem-pessoas", b" X: y\r\n" + CLOSE), (400,)),
    Case("NUL in a header", get(b"/contagem-pessoas", CLOSE + b"X: a\0b\r\n"), (400,)),
    Case("no Host", get(b"/contagem-pessoas", b"Connection: close\r\n"), (400,)),
    Case("two Hosts", get(b"/contagem-pessoas", CLOSE + HOST), (400,)),
    Case("a Host that is none", get(b"/contagem-pessoas", b"Connection: close\r\nHost: a b/c\r\n"), (400,)),
    # Paths and queries.
    *(
        Case(f"target {target!r}", get(target), (400,))
        for target in (
            b"/pessoas/%", b"/pessoas/%z", b"/%zz", b"/%00", b"/pessoas/%00", b"/pes\0soas", b"/pessoas?t=a\0b",
            b"/pessoas?t=\xc3\xa9", b"/\xc3\xa9", b"/pessoas?t=\xff", b"/pessoas?t=a b", b"/pessoas?t=\x1b[31m",
            b"/pessoas?t=\x7f", b"/pessoas?t=%ff", b"/pessoas/?t=%ff", b"/../etc/passwd", b"/%2e%2e/etc/passwd",
            b"/page/%2e%2e/%2e%2e/etc/passwd", b"*", b"contagem-pessoas", b"?t=a", b"",
        )
    ),
    *(
        Case(f"target {target!r}", get(target), (200,))
        for target in (
            b"/pessoas?t=%", b"/pessoas?t=%zz", b"/pessoas?t=%e", b"/pessoas?t=%00", b"/pessoas?t=a#b",
            b"/pessoas?t=%0d%0aSet-Cookie:%20a=b", b"/pessoas?" + b"&" * 5000 + b"t=a", b"/pessoas?t=" + b"a" * 7900,
            b"/pessoas?t=" + b"%" * 7900, b"http://localhost/contagem-pessoas", b"HTTPS://elsewhere:1/contagem-pessoas",
            b"/%63ontagem-pessoas", b"http://localhost", b"/?t=a", b"/pessoas/%2F..",
        )
    ),
    *(
        Case(f"target {target!r}", get(target), (404,))
        for target in (
            b"/a/../contagem-pessoas", b"/pessoas;t=a?t=a", b"/PESSOAS?t=a", b"/page/../openapi",
            b"/page/..%2fnginx.conf", b"/page/nginx.conf", b"/page/index.html/", b"/_400", b"/_404", b"/_405",
            b"/_503", b"/health", b"/health/live", b"//health/live", b"/./health/ready", b"/%68ealth/live",
            b"/health%2flive", b"/pessoas/../health/live", b"http://localhost/health/live",
        )
    ),
    Case("a target of 9 kB", get(b"/" + b"a" * 9000), (414,)),
    # Methods and versions.
    *(
        Case(f"method {method!r}", get(b"/pessoas", method=method), (405,))
        for method in (b"TRACE", b"PRI", b"PROPFIND", b"BREW", b"PUT", b"A" * 3000)
    ),
    *(
        Case(f"method {method!r}", get(b"/pessoas", method=method), (400,))
        for method in (b"CONNECT", b"get", b"G\0T", b"G T", b"", b"\x16\x03\x01")
    ),
    Case("a tunnel", get(b"localhost:3306", method=b"CONNECT"), (405,)),
    Case("OPTIONS *", get(b"*", method=b"OPTIONS"), (400,)),
    Case("an empty request line", b" \r\n\r\n", (400,)),
    Case("HTTP/1.0", b"GET /contagem-pessoas HTTP/1.0\r\n\r\n", (200,)),
    Case("a creation in HTTP/1.0", post(ANA, LENGTH, b"", b"HTTP/1.0"), (201,)),
    Case("HTTP/1.0 without a length", post(person(HIDDEN), b"", b"", b"HTTP/1.0"), (400,)),
    Case("HTTP/1.9", get(b"/contagem-pessoas", version=b"HTTP/1.9"), (200,)),
    *(
        Case(f"version {version!r}", get(b"/contagem-pessoas", version=version), (400,))
        for version in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3", b"HTTP/1.", b"HTTP/01.1", b"http/1.1", b"SMTP/1.1")
    ),
    Case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30), (400,)),
    Case("an upgrade to HTTP/2", get(b"/contagem-pessoas", HOST + b"Connection: Upgrade, HTTP2-Settings\r\n"
         b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), (200,)),
    Case("a greeting of TLS", bytes.fromhex("16030100c8010000c40303") + bytes(150), (400,)),
    # Expect.
    Case("Expect: 100-continue", post(ANA, LENGTH + b"Expect: 100-continue\r\n"), (100, 201)),
    Case("Expect something else", post(ANA, LENGTH + b"Expect: the unexpected\r\n"), (201,)),
    Case("Expect with a body too large", post(b"", TOO_LARGE + b"Expect: 100-continue\r\n"), (413,)),
    # Bodies.
    Case("NUL in a body", post(ANA[:-1] + b',"x":"\0"}', LENGTH), (400,)),
]  # fmt: skip


def answers_to(case: Case, port: int) -> list[Answer]:
    """Send the bytes of a case, and return all answers until nginx closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(case.sent)
        if case.half_closes:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while len(answers_in(received)[0]) < len(case.statuses) and (data := connection.recv(65536)):
            received += data
        if not case.half_closes:
            connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65536):
            received += data
    answers, rest = answers_in(received)
    assert rest == b""
    return answers
