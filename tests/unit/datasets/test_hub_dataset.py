"""Datasets of the hub: from a server on this machine that speaks the hub's protocol, from its cache, and from neither.

The hub's library reads its settings once, when it is imported: each case runs in an interpreter of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHARDS = ("data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl")
FILES = {
    "README.md": b"---\nlicense: apache-2.0\nconfigs:\n- data_files: data/train-*\n---\nA dataset.\n",
    SHARDS[0]: b'{"prompt": "one"}\n{"prompt": "two"}\n',
    SHARDS[1]: b'{"prompt": "three"}\n',
}

# Opens each choice of the argument and prints what came of it, as JSON.
PROGRAM = """
import json, sys
from pathlib import Path
from llenergymeasure.config.dataset import DatasetFile
from llenergymeasure.datasets.resolve import open_dataset
from llenergymeasure.errors import ConfigError

def tried(choice):
    try:
        read = choice if isinstance(choice, str) else DatasetFile(**choice)
        dataset = open_dataset(read, base=Path(), random_seed=1, n=1, default_max_new_tokens=1)
        texts = [prompt.text for prompt in dataset.prompts(2, 0)]
        result = {"name": dataset.name, "sha256": dataset.sha256, "licence": dataset.licence, "first": texts}
        return {**result, "size": dataset.size}
    except ConfigError as error:
        return {"error": str(error), "hint": error.hint}

print(json.dumps([tried(choice) for choice in json.loads(sys.argv[1])]))
"""


def opened(cache: Path, *choices: object, endpoint: str | None = None) -> list[dict[str, Any]]:
    """What each choice gives, with that cache and, unless an endpoint is given, offline."""
    place = {"HF_ENDPOINT": endpoint} if endpoint else {"HF_HUB_OFFLINE": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {**kept, **place, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "no_proxy": "*"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(choices)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A hub cache with one snapshot of o/d, as the hub's library lays it out."""
    repository = tmp_path / "hub" / "datasets--o--d"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for name, content in FILES.items():
        path = repository / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "hub"


class HubHandler(BaseHTTPRequestHandler):
    """As much of the hub's protocol as one small dataset needs."""

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        file = path.removeprefix(f"/datasets/o/d/resolve/{COMMIT}/")
        if path in ("/api/datasets/o/d/revision/main", f"/api/datasets/o/d/revision/{COMMIT}"):
            self._json({"id": "o/d", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]})
        elif path.startswith("/api/datasets/o/d/tree/"):
            entries = [{"type": "file", "path": n, "size": len(c), "oid": _etag(c)} for n, c in FILES.items()]
            self._json(entries)
        elif file in FILES:
            self._send(200, FILES[file], {"ETag": f'"{_etag(FILES[file])}"', "X-Repo-Commit": COMMIT})
        elif "/o/d/revision/" in path:
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif "/gated/" in path:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_cache_gives_a_dataset_without_network(cache: Path) -> None:
    """Commit and licence are recorded, all shards are read, and an offline miss says what to do."""
    found, absent, at_commit = opened(cache, "o/d", "no/where", {"hub": "o/d", "revision": COMMIT, "column": "prompt"})
    assert (found["name"], found["licence"]) == (f"o/d@{COMMIT}", "apache-2.0")
    assert (found["first"], found["size"]) == (["one", "two"], 3)
    assert absent["error"] == "no/where: not in the local cache, and HF_HUB_OFFLINE is set"
    assert "hf download --repo-type dataset no/where" in absent["hint"]
    assert at_commit["first"] == found["first"] and at_commit["sha256"] != found["sha256"]


def test_a_shard_that_the_cache_lacks_is_no_end_of_the_data(cache: Path) -> None:
    """Offline, the first prompts are given and the missing ones are an error, never silently fewer."""
    (whole,) = opened(cache, "o/d")
    (cache / "datasets--o--d" / "snapshots" / COMMIT / SHARDS[1]).unlink()
    (partial,) = opened(cache, "o/d")
    assert whole["size"] == 3
    assert "not in the local cache" in partial["error"]


def test_a_dataset_without_a_card_can_be_read(cache: Path) -> None:
    """Then nobody says what the licence is."""
    (cache / "datasets--o--d" / "snapshots" / COMMIT / "README.md").unlink()
    (found,) = opened(cache, "o/d")
    assert (found["size"], found["licence"]) == (3, None)


def test_the_hub_gives_the_same_dataset_as_its_cache(tmp_path: Path, endpoint: str, cache: Path) -> None:
    """Downloaded or cached, name and hash are the same, and the download leaves a cache behind."""
    (online,) = opened(tmp_path / "fresh", "o/d", endpoint=endpoint)
    assert online == opened(tmp_path / "fresh", "o/d")[0] == opened(cache, "o/d")[0]
    assert online["size"] == 3


def test_what_the_hub_refuses_comes_with_a_remedy(tmp_path: Path, endpoint: str) -> None:
    """Gated, unknown, a revision that is none, and an id that can be none."""
    choices = ("gated/one", "no/where", {"hub": "o/d", "revision": "old"}, {"hub": "a b//c"})
    gated, unknown, revision, impossible = opened(tmp_path, *choices, endpoint=endpoint)
    assert "is gated" in gated["error"] and "HF_TOKEN" in gated["hint"]
    assert "knows no such dataset" in unknown["error"] and "owner/name" in unknown["hint"]
    assert revision["error"] == "o/d: no revision 'old'"
    assert "is not a hub id" in impossible["error"]
