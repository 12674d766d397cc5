"""Models of the hub: the library's real client against a small hub on the loopback address."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from llenergymeasure.errors import ConfigError
from llenergymeasure.models.directory import open_directory
from llenergymeasure.models.hub import (
    Hub,
    Listing,
    cached,
    disk_problem,
    fetch,
    is_hub_name,
    look_up,
    missing_bytes,
    unusable,
    wanted,
)
from llenergymeasure.models.resolve import NotLocal, known_locally
from llenergymeasure.testing.model_files import write_model

COMMIT, OLDER = "a" * 40, "b" * 40
NAME = "owner/tiny"


class FakeHub:
    """One model at one commit. ``refuse`` answers every question about it with a status and the hub's error code."""

    def __init__(self, files):
        self.files, self.gated, self.refuse, self.served = files, False, None, []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

            def log_message(self, *arguments):
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, request, *, body):
        path = request.path.partition("?")[0]
        status, headers, content = self.look(path)
        if status == 200 and "/resolve/" in path and body:
            self.served.append(path.rpartition("/")[2])
        request.send_response(status)
        for key, value in {"Content-Length": str(len(content)), "X-Repo-Commit": COMMIT, **headers}.items():
            request.send_header(key, value)
        request.end_headers()
        if body:
            request.wfile.write(content)

    def look(self, path):
        if self.refuse is not None and (self.refuse[1] != "GatedRepo" or "/auth-check" in path):
            status, code = self.refuse
            return status, {"X-Error-Code": code} if code else {}, b""
        if path.startswith(f"/{NAME}/resolve/"):
            content = self.files.get(path.rpartition("/")[2])
            if content is None:
                return 404, {"X-Error-Code": "EntryNotFound"}, b""
            return 200, {"ETag": f'"{hash(content) & (1 << 60) - 1:040x}"'}, content
        if path.startswith(f"/api/models/{NAME}/tree/"):
            listing = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                for name, content in self.files.items()
            ]
            return 200, {}, json.dumps(listing).encode()
        if path == f"/api/models/{NAME}/auth-check":
            return 200, {}, b"{}"
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": "0" * 40} for name, content in self.files.items()
        ]
        return 200, {}, json.dumps({"id": NAME, "sha": COMMIT, "gated": self.gated, "siblings": siblings}).encode()


@pytest.fixture
def model(tmp_path):
    folder = write_model(tmp_path / "model")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    fake = FakeHub(files | {"README.md": b"words", "consolidated.safetensors": bytes(10), "tf_model.h5": bytes(10)})
    yield fake
    fake.close()


@pytest.fixture
def hub(model, tmp_path):
    return Hub(tmp_path / "hub", endpoint=model.endpoint)


def silent(message, fraction=None):
    """Says nothing."""


def cache_model(hub, commit=COMMIT, reference="main"):
    """What the library leaves in its cache."""
    repository = hub.folder / "models--owner--tiny"
    write_model(repository / "snapshots" / commit)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / reference).write_text(commit)


def test_a_model_is_downloaded_at_a_commit(model, hub):
    """The first use says what it downloads, fetches what an engine needs and nothing else, and knows the commit."""
    said = []
    told = []
    snapshot = fetch(
        hub, NAME, None, "real", lambda message, fraction=None: (said if fraction is None else told).append(message)
    )
    assert snapshot.commit == COMMIT
    assert sorted(model.served) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert len(said) == 1
    assert "MB" in said[0]
    assert open_directory(snapshot.path, name=NAME, revision=COMMIT, weights="real").architecture is not None
    assert cached(hub, NAME, COMMIT) == snapshot


def test_random_weights_download_no_weights(model, hub):
    """With random weights the configuration and the tokenizer are all that is fetched."""
    fetch(hub, NAME, None, "random", silent)
    assert sorted(model.served) == ["config.json", "tokenizer.json"]


def test_what_is_cached_is_not_fetched_again(model, hub):
    """A second use downloads nothing and says nothing."""
    fetch(hub, NAME, None, "real", silent)
    before = list(model.served)
    said = []
    fetch(hub, NAME, None, "real", lambda message, fraction=None: said.append(message))
    assert (model.served, said) == (before, [])


def test_a_cached_commit_needs_no_hub(hub, model):
    """A commit is what it is: when it is whole in the cache nothing is asked."""
    model.refuse = (500, None)
    cache_model(hub)
    assert fetch(hub, NAME, COMMIT, "real", silent).commit == COMMIT


@pytest.mark.parametrize("refuse", [(503, None), (401, "RepoNotFound"), (403, "GatedRepo")])
def test_a_cached_model_serves_when_the_hub_does_not(hub, model, refuse):
    """When the hub fails or refuses, a whole cached commit is used, and that is said."""
    model.gated, model.refuse = "manual", refuse
    cache_model(hub, OLDER)
    said = []
    assert fetch(hub, NAME, None, "real", lambda message, fraction=None: said.append(message)).commit == OLDER
    assert OLDER[:12] in said[0]


def test_offline_uses_the_cache_alone(tmp_path):
    """Offline a cached model is found by branch or commit, and the hub is not asked."""
    hub = Hub(tmp_path / "hub", offline=True, endpoint="http://127.0.0.1:9")
    cache_model(hub, reference="v2")
    assert fetch(hub, NAME, "v2", "real", silent).commit == COMMIT
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE") as caught:
        fetch(hub, NAME, None, "real", silent)
    assert f"hf download {NAME}" in caught.value.hint


def test_offline_half_a_model_is_no_model(tmp_path):
    """A snapshot without its weights is whole for random weights only."""
    hub = Hub(tmp_path / "hub", offline=True)
    cache_model(hub)
    (hub.folder / "models--owner--tiny" / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="not whole"):
        fetch(hub, NAME, None, "real", silent)
    assert fetch(hub, NAME, None, "random", silent).commit == COMMIT


@pytest.mark.parametrize(
    ("status", "code", "says", "hint"),
    [
        (403, "GatedRepo", "gated", "accept its licence"),
        (401, "RepoNotFound", "no model of that name", "spelling"),
        (404, "RepoNotFound", "no model of that name", "spelling"),
        (404, "RevisionNotFound", "no revision 'v9'", "commits/main"),
        (401, None, "refuses the token", "hf auth login"),
    ],
)
def test_refusals_say_what_to_do(model, hub, status, code, says, hint):
    """What the hub refuses is told with the remedy."""
    model.gated, model.refuse = "manual", (status, code)
    with pytest.raises(ConfigError, match=says) as caught:
        look_up(hub, NAME, "v9")
    assert hint in caught.value.hint


def test_a_gated_model_with_access_is_found(model, hub):
    """A gated model that this account may read is like any other."""
    model.gated = "auto"
    assert look_up(hub, NAME, None).commit == COMMIT


def test_a_failing_hub_is_named(model, hub):
    """A server's failure is told with its status."""
    model.refuse = (500, None)
    with pytest.raises(ConfigError, match="answered 500"):
        look_up(hub, NAME, None)


def test_no_network_is_unreachable(tmp_path):
    """Without a network the error names the hub and the ways round it."""
    with pytest.raises(ConfigError, match="cannot be reached") as caught:
        fetch(Hub(tmp_path, endpoint="http://127.0.0.1:9"), NAME, None, "real", silent)
    assert ".gguf" in caught.value.hint


def test_a_repository_of_gguf_files_is_no_model(model, hub):
    """A collection of quantisations is answered with the command that fetches one of them."""
    model.files = {"m.Q4_0.gguf": b"", "m.Q8_0.gguf": b""}
    with pytest.raises(ConfigError, match="2 GGUF files") as caught:
        fetch(hub, NAME, None, "real", silent)
    assert f"hf download {NAME} m.Q4_0.gguf" in caught.value.hint


def test_a_repository_without_a_configuration_is_no_model():
    """Without config.json there is nothing an engine opens."""
    assert "config.json" in str(unusable(NAME, Listing(COMMIT, {"README.md": 1})))
    assert unusable(NAME, Listing(COMMIT, {"config.json": 1})) is None


def test_a_full_disk_is_said_before_the_download(model, hub):
    """A download that does not fit is refused with both sizes."""
    assert "GB are free" in (disk_problem(hub, 2**60) or "")
    assert disk_problem(hub, 0) is None


def test_pre_flight_learns_the_size_of_a_download(model, hub, monkeypatch):
    """With a network, a model that is not here is looked up: its size when it can be had, else the reason."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub.folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    sizes = {name: len(content) for name, content in model.files.items()}
    answer = known_locally(NAME, None, base=hub.folder, network=True)
    assert isinstance(answer, NotLocal)
    assert answer.problems == ()
    assert answer.download_bytes == sum(sizes[name] for name in ("config.json", "model.safetensors", "tokenizer.json"))
    assert model.served == []
    model.files = {"m.gguf": b""}
    refused = known_locally(NAME, None, base=hub.folder, network=True)
    assert isinstance(refused, NotLocal)
    assert "hf download" in refused.problems[0]


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (["model.safetensors", "model.fp16.safetensors"], ["model.safetensors"]),
        (["pytorch_model.bin", "tf_model.h5", "model.onnx"], ["pytorch_model.bin"]),
        (["original/consolidated.00.pth", "model.safetensors"], ["model.safetensors"]),
        (
            ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (
            ["model.safetensors.index.json", "model.safetensors-00001-of-00001.safetensors"],
            ["model.safetensors.index.json", "model.safetensors-00001-of-00001.safetensors"],
        ),
        (
            ["tokenizer.model", "merges.txt", "chat_template.jinja"],
            ["tokenizer.model", "merges.txt", "chat_template.jinja"],
        ),
        (["README.md", "logo.png", "model.gguf"], []),
    ],
)
def test_one_set_of_weights_is_wanted(files, chosen):
    """Safetensors before pickles, one form only, and no other framework's."""
    assert sorted(wanted(Listing(COMMIT, dict.fromkeys(files, 1)), "real")) == sorted(chosen)


def test_bytes_to_download_leave_out_what_is_there(hub):
    """Of a half cached commit only the rest counts."""
    listing = Listing(COMMIT, {"config.json": 10, "model.safetensors": 100})
    assert missing_bytes(hub, NAME, listing, "real") == 110
    cache_model(hub)
    assert missing_bytes(hub, NAME, listing, "real") == 0


@pytest.mark.parametrize(
    ("name", "could"), [("gpt2", True), ("a/b-1.0_x", True), ("./a", False), ("../a", False), ("a/b/c", False)]
)
def test_names_of_the_hub(name, could):
    """A hub's name has an owner at most, and never climbs."""
    assert is_hub_name(name) is could


@pytest.mark.parametrize("revision", ["../../x", "absent"])
def test_a_revision_that_is_not_there(hub, revision):
    """A revision that the cache does not hold, or that would lead out of it, finds nothing."""
    cache_model(hub)
    (hub.folder / "x").write_text(COMMIT)
    assert cached(hub, NAME, revision) is None
