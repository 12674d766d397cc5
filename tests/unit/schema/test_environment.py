"""The environment of a result keeps every fact of the trace's machine."""

from __future__ import annotations

import dataclasses

import pytest

from llenergymeasure.model.codec import encode
from llenergymeasure.model.machine import GitState, Gpu, Interpreter, Machine
from llenergymeasure.schema.environment import GitRecord, GpuRecord, InterpreterRecord, MachineRecord
from llenergymeasure.schema.quantity import Record
from llenergymeasure.testing.builders import machine


@pytest.mark.parametrize(
    ("facts", "record"),
    [(Gpu, GpuRecord), (Interpreter, InterpreterRecord), (Machine, MachineRecord), (GitState, GitRecord)],
)
def test_a_record_has_the_fields_of_its_facts(facts: type, record: type[Record]) -> None:
    """What is collected is documented, in the same order."""
    assert [field.name for field in dataclasses.fields(facts)] == list(record.model_fields)


def test_facts_come_through_whole() -> None:
    """Nested ones too."""
    facts = machine(gpus=(Gpu("GPU-1", "G", ecc=False),), interpreter=Interpreter("3.11", "CPython", {"numpy": "2"}))
    assert MachineRecord.model_validate(encode(facts)).model_dump(mode="json") == encode(facts)
