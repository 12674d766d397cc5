"""A web server on this machine that answers with what was recorded, for meters that are read over a network."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, bytes]
"""An HTTP status and a body."""

_NOT_FOUND: Answer = (404, b"")


@dataclass(slots=True)
class Recorded:
    """``answers`` maps a path with its query to what is answered, and may be changed at any time; ``asked`` are all paths."""

    address: str
    answers: dict[str, Answer]
    asked: list[str] = field(default_factory=list)


@contextmanager
def recorded_server(answers: Mapping[str, Answer]) -> Iterator[Recorded]:
    """Serve on a free port of the loopback interface; what was not recorded is not found."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            recorded.asked.append(self.path)
            status, body = recorded.answers.get(self.path, _NOT_FOUND)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorded = Recorded(f"127.0.0.1:{server.server_port}", dict(answers))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield recorded
        finally:
            server.shutdown()
            thread.join()
