from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from llenergymeasure.backends.llamacpp_server import LlamaServer
from llenergymeasure.errors import BackendError


class Engine:
    """A double of xllamacpp: its server is one of Python's, which answers by its script of (status, chunks)."""

    def __init__(self) -> None:
        self.script: list[tuple[int, list[bytes]]] = []
        self.asked: list[tuple[str, str, str, bytes]] = []
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                engine.asked.append((self.command, self.path, self.headers["Authorization"], body))
                status, chunks = engine.script.pop(0)
                self.send_response(status)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for chunk in chunks:
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                if chunks[-1:] != [b"cut"]:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True

            do_GET = do_POST

            def log_message(self, *arguments: object) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def Server(self, params: SimpleNamespace) -> SimpleNamespace:
        self.params = params
        return SimpleNamespace(listening_address=f"http://127.0.0.1:{self.http.server_port}")


@pytest.fixture
def engine() -> Iterator[Engine]:
    double = Engine()
    yield double
    double.http.shutdown()
    double.http.server_close()


def parameters() -> SimpleNamespace:
    return SimpleNamespace(model=SimpleNamespace(path="/models/m.gguf"))


def opened(engine: Engine, *script: tuple[int, list[bytes]]) -> LlamaServer:
    """A server that has answered the one question of its opening, and answers the next ones by ``script``."""
    engine.script = [(200, [b"[]"]), *script]
    server = LlamaServer(engine, parameters())
    assert [asked[1] for asked in engine.asked] == ["/slots"]
    engine.asked.clear()
    return server


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def test_it_listens_to_its_own_process_alone(engine):
    """The server is on loopback, on a free port, and every request carries the key that the engine was given."""
    server = opened(engine, (200, [b'{"a": 1}']), (200, [b"[]"]))
    assert server.ask("/props") == {"a": 1}
    assert server.ask("/tokenize", {"content": "x"}) == []
    assert (engine.params.hostnames, engine.params.port, engine.params.ui) == (["127.0.0.1"], 0, False)
    [key] = engine.params.api_keys
    assert len(key) >= 32
    assert [asked[:3] for asked in engine.asked] == [
        ("GET", "/props", f"Bearer {key}"),
        ("POST", "/tokenize", f"Bearer {key}"),
    ]
    assert json.loads(engine.asked[1][3]) == {"content": "x"}


def test_events_are_whole_however_they_arrive(engine):
    """Several events in one chunk, and one event in several, come out one by one; comments and blank lines do not."""
    whole = event(n=1, text="a\nb 漢") + b": ping\n\n" + event(n=2) + event(n=3)
    pieces = [whole[i : i + 5] for i in range(0, len(whole), 5)]
    server = opened(engine, (200, [whole]), (200, pieces))
    for _ in range(2):
        assert [found["n"] for found in server.stream("/completion", {})] == [1, 2, 3]


def test_what_the_engine_refuses_is_said_in_its_words(engine):
    """An error status and an error inside a stream are errors with the engine's message, and a hint about the context."""
    refusal = {"error": {"code": 400, "message": "request (900 tokens) exceeds the available context size"}}
    in_stream = [event(n=1), event(error={"message": "decode failed"})]
    server = opened(engine, (400, [json.dumps(refusal).encode()]), (200, in_stream))
    with pytest.raises(BackendError, match="900 tokens") as error:
        server.ask("/completion", {})
    assert "n_ctx" in error.value.hint
    events = server.stream("/completion", {})
    assert next(events) == {"n": 1}
    with pytest.raises(BackendError, match="decode failed"):
        next(events)


def test_a_connection_that_breaks_is_an_error_of_the_backend(engine):
    """A stream cut in the middle, an answer that is no JSON, and a server that is gone are translated."""
    server = opened(engine, (200, [event(n=1), b"cut"]), (200, [b"no json"]))
    with pytest.raises(BackendError, match="does not answer"):
        list(server.stream("/completion", {}))
    with pytest.raises(BackendError, match="does not answer"):
        server.ask("/slots")
    server._port = 9  # the discard port: nobody listens there
    with pytest.raises(BackendError, match="does not answer"):
        server.ask("/slots")


def test_a_model_that_does_not_open_is_named(engine):
    """The engine's exception becomes an error with the model's path and where its reasons stand."""

    def refuse(params: object) -> None:
        raise RuntimeError("Failed to init server")

    engine.Server = refuse
    with pytest.raises(BackendError, match=r"/models/m\.gguf.*Failed to init") as error:
        LlamaServer(engine, parameters())
    assert "worker.log" in error.value.hint
