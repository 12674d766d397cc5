"""``llem config --schema``."""

from __future__ import annotations

import json
from typing import Any

import click

from llenergymeasure.config.json_schema import experiment_schema, study_schema, user_schema
from llenergymeasure.schema.experiment import ExperimentResult


def schema_text(which: str) -> str:
    """The JSON Schema of ``experiment``, ``study``, ``user`` or ``result`` files, as it is published in ``schemas/``."""
    makers: dict[str, Any] = {
        "experiment": experiment_schema,
        "study": study_schema,
        "user": user_schema,
        "result": ExperimentResult.model_json_schema,
    }
    return json.dumps(makers[which](), indent=1, ensure_ascii=False) + "\n"


def print_schema(which: str) -> int:
    """Print a schema on stdout."""
    click.echo(schema_text(which), nl=False)
    return 0
