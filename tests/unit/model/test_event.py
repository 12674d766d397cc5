from __future__ import annotations

from pathlib import Path

import pytest

from llenergymeasure.model.codec import CodecError
from llenergymeasure.model.event import (
    EventLog,
    EventTail,
    Finished,
    Progress,
    Unreadable,
    event_line,
    parse_event,
    read_events,
)
from llenergymeasure.model.mark import Mark


def test_an_event_of_a_newer_version_is_passed_over() -> None:
    """A line with a name that is not known is no event and no error."""
    assert parse_event('{"event": "FromTheFuture", "x": 1}') is None


@pytest.mark.parametrize(
    "line", ["{", "[]", "1", '{"no": "name"}', '{"event": []}', '{"event": "Finished"}', "[" * 100_000]
)
def test_a_broken_line_is_a_codec_error(line: str) -> None:
    """Whatever is not an event raises the one error."""
    with pytest.raises(CodecError):
        parse_event(line)


def test_tail_of_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    """A follower may begin before the writer."""
    tail = EventTail(tmp_path / "events.jsonl")
    assert tail.new() == ()
    (tmp_path / "events.jsonl").write_text(event_line(Finished("trial")))
    assert tail.new() == (Finished("trial"),)
    assert tail.new() == ()


def test_tail_waits_for_the_rest_of_a_torn_line(tmp_path: Path) -> None:
    """A line is read when its end is there, and once."""
    path, line = tmp_path / "events.jsonl", event_line(Mark("window", "begin", 7)).encode()
    tail = EventTail(path)
    with open(path, "ab", buffering=0) as file:
        file.write(event_line(Progress("one")).encode() + line[:10])
        assert tail.new() == (Progress("one"),)
        file.write(line[10:-1])
        assert tail.new() == ()
        file.write(line[-1:] + line[:3])
        assert tail.new() == (Mark("window", "begin", 7),)
    assert tail.new() == ()


def test_a_broken_line_in_the_middle_hides_no_other(tmp_path: Path) -> None:
    """A follower gets the events before and after a broken line, and learns that it was there."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        event_line(Progress("before")).encode() + b"\xff\xfe garbage\n\n" + event_line(Progress("after")).encode()
    )
    before, broken, after = read_events(path)
    assert (before, after) == (Progress("before"), Progress("after"))
    assert isinstance(broken, Unreadable) and "garbage" in broken.line and "not a JSON line" in broken.reason


def test_a_torn_last_line_of_a_dead_process_is_left_out(tmp_path: Path) -> None:
    """What a killed process had half written is no event."""
    path = tmp_path / "events.jsonl"
    path.write_text(event_line(Progress("whole")) + event_line(Progress("torn"))[:-5])
    assert list(read_events(path)) == [Progress("whole")]


def test_log_flushes_each_event(tmp_path: Path) -> None:
    """An event can be read as soon as it was written."""
    log = EventLog.append_to(tmp_path / "events.jsonl")
    log.write(Progress("one"))
    assert list(read_events(tmp_path / "events.jsonl")) == [Progress("one")]
    log.close()


def test_held_events_are_written_at_release_in_their_order(tmp_path: Path) -> None:
    """Between hold and release nothing reaches the file."""
    path = tmp_path / "events.jsonl"
    log = EventLog.append_to(path)
    log.write(Progress("before"))
    log.hold()
    log.write(Progress("one"))
    log.write(Progress("two"))
    assert list(read_events(path)) == [Progress("before")]
    log.release()
    log.write(Progress("after"))
    assert [event.message for event in read_events(path) if isinstance(event, Progress)] == [
        "before",
        "one",
        "two",
        "after",
    ]
    log.release()
    log.close()
    assert len(list(read_events(path))) == 4
