"""A webhook is told how a study ended."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from llenergymeasure.config.user import NotificationSettings
from llenergymeasure.study.notify import message, notify
from llenergymeasure.testing.studies import study_result


@pytest.fixture
def hook():
    """A server that keeps what it is sent."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.got = got
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _settings(hook, **fields):
    return NotificationSettings(webhook_url=f"http://127.0.0.1:{hook.server_port}/x", **fields)


@pytest.mark.parametrize(
    ("outcome", "fields", "always", "told"),
    [
        ("complete", {}, False, True),
        ("complete", {"on_complete": False}, False, False),
        ("complete", {"on_complete": False}, True, True),
        ("failed_trials", {}, False, True),
        ("limit", {"on_failure": False}, False, False),
        ("interrupted", {"on_complete": False}, False, True),
    ],
)
def test_it_is_told_what_it_wants_to_know(hook, outcome, fields, always, told):
    """Completion and failure apart; --notify in any case."""
    said = []
    notify(_settings(hook, **fields), study_result(outcome=outcome), said.append, always=always)
    assert len(hook.got) == told
    assert said == []


def test_the_message_names_the_study_and_nothing_of_the_machine():
    """Words for a chat, and the same as fields."""
    sent = message(study_result(outcome="failed_trials", folder="/home/somebody/results/x"))
    assert sent["text"].startswith("s: ended with failures, ")
    assert (sent["outcome"], sent["study"]) == ("failed_trials", "s")
    assert "/home" not in json.dumps(sent)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/closed", "http://no-such-host.invalid/", "http://["])
def test_a_webhook_that_fails_costs_nothing(url):
    """It is said, and the study's result stands."""
    said = []
    notify(NotificationSettings(webhook_url=url), study_result(), said.append)
    assert len(said) == 1 and said[0].startswith("the webhook was not told: ")


def test_without_an_address_only_the_flag_is_answered():
    """--notify that cannot tell anybody says so."""
    said = []
    notify(NotificationSettings(), study_result(), said.append)
    assert said == []
    notify(NotificationSettings(), study_result(), said.append, always=True)
    assert "webhook_url is not set" in said[0]
