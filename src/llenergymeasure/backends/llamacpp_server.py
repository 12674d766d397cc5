"""llama.cpp's own HTTP server inside this process: started on loopback, asked with the standard library, closed."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llenergymeasure.errors import BackendError

_LOOPBACK = "127.0.0.1"
# Prompts of many thousand tokens on a slow machine take minutes to their first token.
_TIMEOUT_S = 3600.0


class LlamaServer:
    """A model, opened behind a port of the loopback interface that answers only to who holds the key of this process.

    ``params`` are the engine's own; address, key and page are set here. Raises ``BackendError`` when the engine cannot open
    the model; its reasons are on stderr.
    """

    def __init__(self, engine: Any, params: Any) -> None:
        key = secrets.token_hex(16)
        params.hostnames = [_LOOPBACK]
        params.port = 0
        params.api_keys = [key]
        params.ui = False
        params.endpoint_slots = True
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        try:
            self._server: Any = engine.Server(params)
        except RuntimeError as error:
            raise BackendError(
                f"{params.model.path}: llama.cpp cannot open this model with these options: {error}",
                hint="its own words are in worker.log",
            ) from error
        self._port = int(self._server.listening_address.rsplit(":", 1)[1])
        # An engine that is closed before its queue runs waits for ever; this answer comes through the queue.
        self.ask("/slots")

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON answer to one request; a body makes it a POST. Raises ``BackendError``."""
        with self._answer(path, body) as response:
            return json.loads(response.read())

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[Any]:
        """The JSON events of a streamed answer, each as soon as it is here. Raises ``BackendError``."""
        with self._answer(path, body) as response:
            pending = b""
            while chunk := response.read1():
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: "):
                        event = json.loads(line[6:])
                        if "error" in event:
                            raise _refused(event)
                        yield event

    def close(self) -> None:
        """Stop the server and free the model."""
        self._server = None

    @contextmanager
    def _answer(self, path: str, body: Mapping[str, Any] | None) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(_LOOPBACK, self._port, timeout=_TIMEOUT_S)
        method, text = ("GET", None) if body is None else ("POST", json.dumps(body, separators=(",", ":")))
        try:
            connection.request(method, path, text, self._headers)
            response = connection.getresponse()
            if response.status != 200:
                raise _refused(json.loads(response.read()))
            yield response
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BackendError(f"llama.cpp: its server does not answer: {error!r}") from error
        finally:
            connection.close()


def _refused(answer: Mapping[str, Any]) -> BackendError:
    error = answer.get("error", answer)
    message = error.get("message", error) if isinstance(error, Mapping) else error
    hint = "raise llamacpp.n_ctx" if "context" in str(message) else ""
    return BackendError(f"llama.cpp: {message}", hint=hint)
