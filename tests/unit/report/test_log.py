"""``llem.log``: what happened, one JSON object a line."""

import json
import logging
import math

from llenergymeasure.model.event import RequestDone, WarmupBatch
from llenergymeasure.model.outcome import Failure
from llenergymeasure.model.request import Completion
from llenergymeasure.report.log import Logged, StudyLog
from llenergymeasure.testing.builders import experiment_result
from llenergymeasure.testing.plans import planned


def _lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_was_said_before_the_folder_existed_is_in_the_log(tmp_path):
    """Records wait in memory until there is a file, and keep their order."""
    logged = Logged()
    with StudyLog() as log:
        logged.say("looking for engines")
        logged.say("downloading", 0.5)  # a state, not an event
        log.write_to(tmp_path / "llem.log")
        logged.say("ready")
        assert [line["message"] for line in _lines(tmp_path / "llem.log")] == ["looking for engines", "ready"]
    logged.say("after the study")
    lines = _lines(tmp_path / "llem.log")
    assert [line["message"] for line in lines] == ["looking for engines", "ready"]
    assert all(line["level"] == "info" and line["at"].endswith("+00:00") for line in lines)


def test_trials_and_their_outcomes_are_facts(tmp_path):
    """A completed trial has its figures, a failed one its kind and message as an error; ids of tokens stay out."""
    logged, plan = Logged(), planned(points=2)
    with StudyLog() as log:
        log.write_to(tmp_path / "llem.log")
        logged.planned(plan, "f", 2)
        logged.trial_begins(plan.trials[0], plan.experiments[0], 1)
        logged.trial_event(WarmupBatch(1, 0.5, 10, None, False))
        logged.trial_event(RequestDone(0, Completion(0, (1, 2), "length", 5)))
        logged.trial_ends(plan.trials[0], plan.experiments[0], experiment_result(remarks=["preliminary"]))
        logged.trial_ends(plan.trials[1], plan.experiments[1], Failure("out_of_memory", "too big", hint="smaller"))
    lines = _lines(tmp_path / "llem.log")
    assert [line["message"] for line in lines] == [
        "planned",
        "trial begins",
        "worker: WarmupBatch",
        "trial completed",
        "trial failed",
    ]
    assert lines[2]["level"] == "debug" and lines[2]["seconds"] == 0.5
    assert lines[3]["energy_per_output_token_j"] == 0.05 and lines[3]["remarks"] == ["preliminary"]
    assert (lines[4]["level"], lines[4]["kind"], lines[4]["hint"]) == ("error", "out_of_memory", "smaller")


def test_a_program_sees_the_records_in_its_own_logs(tmp_path, caplog):
    """The logger is Python's; after the study its level is what it was."""
    logger = logging.getLogger("llenergymeasure")
    before = logger.level
    with caplog.at_level(logging.INFO), StudyLog() as log:
        log.write_to(tmp_path / "llem.log")
        Logged().say("hello")
    assert "hello" in caplog.messages
    assert logger.level == before and not logger.handlers


def test_numbers_that_json_lacks_are_null(tmp_path):
    """A log line is always JSON; an exception brings its traceback."""
    with StudyLog() as log:
        log.write_to(tmp_path / "llem.log")
        logger = logging.getLogger("llenergymeasure.x")
        logger.info("odd", extra={"facts": {"a": math.nan, "b": [math.inf, 1.0], "c": {"d": -math.inf}}})
        try:
            raise ValueError("no")
        except ValueError:
            logger.exception("went wrong")
    first, second = _lines(tmp_path / "llem.log")
    assert (first["a"], first["b"], first["c"]) == (None, [None, 1.0], {"d": None})
    assert "ValueError: no" in second["traceback"]


def test_a_log_that_cannot_be_written_costs_nothing_else(tmp_path, capsys):
    """A directory in its place, or a disk that is full: the study goes on, quietly."""
    with StudyLog() as log:
        log.write_to(tmp_path)
        Logged().say("on we go")
    with StudyLog() as log:
        log.write_to(type(tmp_path)("/dev/full"))
        Logged().say("on we go")
    assert capsys.readouterr().err == ""
