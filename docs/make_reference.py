"""Writes the reference pages from the code: ``python docs/make_reference.py [--check]``.

With ``--check`` nothing is written; the exit status is 1 when a page differs from what the code says.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from llenergymeasure import plugins
from llenergymeasure.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from llenergymeasure.cli.group import llem
from llenergymeasure.cli.schemas import schema_text
from llenergymeasure.config.backend_section import spec_of
from llenergymeasure.config.experiment import LATER, ExperimentConfig
from llenergymeasure.config.sections import Section
from llenergymeasure.config.settings import VARIABLES
from llenergymeasure.config.study import ExecutionConfig
from llenergymeasure.config.user import UserConfig
from llenergymeasure.data.carbon_intensity import known_regions
from llenergymeasure.data.published import published_curves, published_figures
from llenergymeasure.model.outcome import FailureKind
from llenergymeasure.models.presets import PRESETS
from llenergymeasure.schema.columns import COLUMNS
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Record
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.schema.validity import CODES

HERE = Path(__file__).parent
SCHEMAS = ("experiment", "study", "user", "result")
_SCHEMA_OF = {
    "experiment": "an experiment",
    "study": "a study",
    "user": "the user configuration",
    "result": "`result.json` of a trial",
}

_ERROR_OUTCOMES = ("preflight", "config", "error")
_OUTCOMES = {
    "complete": "every trial ran",
    "failed_trials": "a trial failed; the others ran",
    "limit": "a limit ended the study: its time budget",
    "interrupted": "somebody stopped it",
    "preflight": "something needed is not here; nothing ran",
    "config": "the configuration or the command line is wrong; nothing ran (status 2)",
    "error": "anything else",
}
_FAILURES: dict[FailureKind, str] = {
    "backend_missing": "the engine, or a library of it, cannot be imported",
    "backend_error": "the engine refused or failed",
    "bad_option": "an option has a type or value that the engine's options do not allow",
    "out_of_memory": "the engine ran out of memory",
    "unsupported": "the engine cannot do what was asked for",
    "internal": "a defect of llem or of a plug-in: the traceback says where",
    "killed": "a signal ended the worker; often the system, for want of memory",
    "timeout": "the trial took longer than it may",
    "silent": "the worker gave no sign of life for too long",
    "no_hello": "the worker never began to speak: its interpreter does not start",
    "exit_status": "the worker ended without a word",
    "disk_full": "no space was left",
    "interrupted": "somebody stopped it",
    "meter": "the meter failed",
    "analysis": "the trial ran and its facts are kept; computing the result failed",
}
_FOREIGN_VARIABLES = {
    "HF_HOME": "where the hub's models and datasets are kept; beats `output.model_cache_dir`",
    "HF_HUB_CACHE": "the same, for the models and datasets alone",
    "HF_HUB_OFFLINE": "`1`: the hub is not asked; what is not here is an error at once",
    "HF_TOKEN": "access to gated and private repositories; never stored",
    "HF_ENDPOINT": "another hub",
    "CUDA_VISIBLE_DEVICES": "which GPUs an engine sees; the others are still read, and shown as bystanders",
    "NO_COLOR": "plain lines, nothing is redrawn; so does `TERM=dumb`",
    "PIP_INDEX_URL": "where the package with the built-in model is fetched",
    "_LLEM_COMPLETE": "prints the completion script of a shell: see [how to](../how-to/shell-completion.md)",
}
MADE = "<!-- Made by docs/make_reference.py from the code; edit there. -->\n"


def command_line() -> Iterator[str]:
    """Every command with its help as it prints it."""
    yield "# Command line\n"
    for name in ["", *llem.list_commands(click.Context(llem))]:
        command = llem.get_command(click.Context(llem), name) if name else llem
        assert command is not None
        title = f"llem {name}".strip()
        yield f"## `{title}`\n"
        with click.Context(command, info_name=title, terminal_width=100, max_content_width=100) as context:
            yield f"```text\n{command.get_help(context)}\n```\n"


def exit_codes() -> Iterator[str]:
    """What a status means, and how programs tell more."""
    yield "# Exit codes\n"
    yield "| status | when |\n|---|---|"
    yield "| 0 | everything that was asked for ran (skipped points are listed, and are no errors) |"
    yield f"| {EXIT_FAILED} | a trial failed; pre-flight found a problem; nothing valid resulted; a limit stopped the study |"
    yield f"| {EXIT_USAGE} | usage or configuration: no valid point, a bad file, a bad flag |"
    yield f"| {EXIT_INTERRUPTED} | interrupted: once, the batch is finished and everything kept; twice, it ends at once |\n"
    yield "Who reads the output may leave before its end (`llem run … | head -1`): the study goes on, and the status is its own.\n"
    yield f"`llem config --check` ends with {EXIT_FAILED} when no engine can run, or the energy source that is set cannot be read.\n"
    yield "## Outcomes\n"
    yield "Programs that must tell cases of 1 apart read the `outcome` of `--json`.\n"
    yield "| outcome | when |\n|---|---|"
    yield from (f"| `{outcome}` | {_OUTCOMES[outcome]} |" for outcome in (*_study_outcomes(), *_ERROR_OUTCOMES))
    yield "\n## Kinds of failure\n"
    yield "A failed trial is stored with a kind, a message, the end of the worker's log and, where there is one, what helps.\n"
    yield "| kind | what happened |\n|---|---|"
    yield from (f"| `{kind}` | {_FAILURES[kind]} |" for kind in typing.get_args(FailureKind))
    yield ""


def configuration() -> Iterator[str]:
    """Every key of an experiment, a study and the user's configuration."""
    yield "# Configuration\n"
    yield "## Experiment\n"
    yield from _fields(ExperimentConfig)
    yield "One section a backend holds that backend's own options: see [backends](backends.md).\n"
    yield "Not in this version: " + ", ".join(f"`{key}`" for key in LATER) + ".\n"
    for name, field in ExperimentConfig.model_fields.items():
        section = _section(field.annotation)
        if section is not None:
            yield f"### `{name}`\n"
            yield from _fields(section)
    yield "## Study\n"
    yield "Everything of an experiment, and what follows; [write a study](../how-to/write-a-study.md) shows it in use.\n"
    yield "| key | what it is |\n|---|---|"
    yield "| `name` | not given: the file's name |"
    yield "| `base` | an experiment file that the study is laid over; its path from the folder of the study |"
    yield "| `backend` | a list gives each engine a grid of its own |"
    yield "| `sweep` | dotted keys to lists of values or ranges; a key that begins with a backend belongs to that backend's grid |"
    yield "| `groups` | fields that change together: by name, a list of entries, each maps dotted keys to one value |"
    yield "| `where` | filters that every point of a grid must meet |"
    yield "| `experiments` | a list of experiments, each laid over the shared part |"
    yield "| `execution` | below |\n"
    yield "### `execution`\n"
    yield from _fields(ExecutionConfig)
    yield "## User configuration\n"
    yield "Lowest first: built-in, `config.yaml` in the user's configuration folder, variables, the file, flags."
    yield "`llem config --verbose` shows every value and where it comes from.\n"
    for name, field in UserConfig.model_fields.items():
        section = _section(field.annotation)
        yield f"### `{name}`\n"
        if section is None:
            yield f"{field.description}.\n"
        else:
            yield from _fields(section)
    yield "[Environment variables](environment-variables.md) set some of them.\n"


def environment_variables() -> Iterator[str]:
    """Variables of ours, and those of others that act here."""
    yield "# Environment variables\n"
    yield "A variable beats the user configuration; a file and a flag beat a variable. An empty one is not set.\n"
    yield "| variable | key of the user configuration | what it is |\n|---|---|---|"
    for variable, key in VARIABLES.items():
        yield f"| `{variable}` | `{key}` | {_setting(key)} |"
    yield "| `LLEM_RUNNER_<BACKEND>` | `runners.<backend>` | where that backend runs: `local`, `venv:PATH` |"
    yield "| `LLEM_CACHE_DIR` | – | where models, inputs and the worker's files are kept |\n"
    yield f"`region` takes ISO 3166 codes; {len(known_regions())} are known.\n"
    yield "## Of others\n"
    yield "| variable | here |\n|---|---|"
    yield from (f"| `{variable}` | {what} |" for variable, what in _FOREIGN_VARIABLES.items())
    yield ""


def backends() -> Iterator[str]:
    """Every backend with its options."""
    yield "# Backends\n"
    yield "A key that is not given is left to the engine where its default is `–`. `passthrough_kwargs` takes what no option covers.\n"
    for name in plugins.built_in("backends"):
        spec = spec_of(name)
        yield f"## `{name}`\n"
        yield f"Engine: {spec.engine}, {spec.minimum_version} or newer. Batching: {spec.batching}. Opens: {', '.join(spec.formats)}{' (a GGUF is dequantised first)' if spec.converts_gguf else ''}."
        yield f"Precision: {', '.join(spec.precisions)}. Decoding: {', '.join(spec.decoding)}. Devices: {', '.join(spec.devices)}."
        yield f"Quantisation: {', '.join(spec.quantization) or 'as stored'}. Speculative decoding: {_yes(spec.speculative)}."
        yield f"Token times: {_yes(spec.token_times)}. `--batch-size` sets `{spec.concurrency_option}`.\n"
        if not spec.proven_on_hardware:
            yield "This version checks configurations for this engine and does not run it.\n"
        yield "| option | type | default | what it does |\n|---|---|---|---|"
        hints = typing.get_type_hints(spec.options)
        for field in dataclasses.fields(spec.options):
            default = field.default if field.default is not dataclasses.MISSING else None
            yield f"| `{field.name}` | {_type(hints[field.name])} | {_default(default)} | {field.metadata.get('doc', '')} |"
        yield ""
    yield "## Models with random weights\n"
    yield "With `weights: random`: a directory that holds a `config.json`, or one of these architectures:\n"
    yield ", ".join(f"`preset:{name}`" for name in PRESETS) + ".\n"


def result() -> Iterator[str]:
    """Every field of a result."""
    yield "# Result\n"
    yield '`result.json` of a trial. `None` (JSON `null`) is "not known", never 0. Units are in the names.\n'
    seen: list[type[Record]] = []

    def group(model: type[Record], title: str) -> Iterator[str]:
        seen.append(model)
        yield f"## {title}\n"
        yield from (f"{' '.join(paragraph.split())}\n" for paragraph in (model.__doc__ or "").split("\n\n"))
        yield "| field | type |\n|---|---|"
        yield from (f"| `{name}` | {_type(field.annotation)} |" for name, field in model.model_fields.items())
        yield ""
        for field in model.model_fields.values():
            for inner in _records(field.annotation):
                if inner not in seen:
                    yield from group(inner, inner.__name__)

    yield from group(ExperimentResult, "ExperimentResult")
    yield "## Columns\n"
    yield "`results.parquet`, `results.csv`, `to_parquet` and `to_dataframe` have one flat row a completed trial.\n"
    yield "| column | type | what it is |\n|---|---|---|"
    yield from (f"| `{column.name}` | {column.kind} | {column.meaning} |" for column in COLUMNS)
    yield ""


def validity() -> Iterator[str]:
    """Every code."""
    yield "# Validity codes\n"
    yield "A result with an `error` is kept, marked invalid, and left out of rankings.\n"
    yield "| code | severity | what helps |\n|---|---|---|"
    yield from (f"| `{code}` | {severity} | {remedy} |" for code, (severity, remedy) in sorted(CODES.items()))
    yield ""


def json_schemas() -> Iterator[str]:
    """Where the schemas are and what each is for."""
    yield "# JSON schemas\n"
    yield "An editor that knows JSON Schema completes and checks files while they are written. Each schema is printed by one command,"
    yield "and lies under `schemas/` in the repository.\n"
    yield "| file | command | in the repository | top-level keys |\n|---|---|---|---|"
    for name in SCHEMAS:
        keys = len(json.loads(schema_text(name))["properties"])
        yield f"| {_SCHEMA_OF[name]} | `llem config --schema {name}` | `schemas/{name}.json` | {keys} |"
    yield "\nFor editors that use the YAML language server, the first line of a file names its schema:\n"
    yield "```yaml\n# yaml-language-server: $schema=./experiment.schema.json\nmodel: builtin:smollm2-135m\n```\n"
    yield "The schema knows the form. What goes together (a precision that an engine has, a model that is here) `llem run` checks before anything runs."


def published() -> Iterator[str]:
    """What others published, as results are held against it."""
    yield "# Published figures\n"
    yield "What others measured, with the source of each. A result of the same model, in the same weights, on the same boards, is held against the"
    yield "curve at its own number of requests together: `published` in the result, `Published` on the screen. Prompts, lengths and engine differ, so a"
    yield "ratio near 1 is plausible, and one far from it calls for a reason. It is no test that can be passed.\n"
    yield "## Curves\n"
    yield "J per output token, GPUs only, at so many requests together. In between, *a + b/B* is taken: what a step costs is shared by the *B* in it.\n"
    yield "| what | requests together: J/token | source |\n|---|---|---|"
    for curve in published_curves():
        points = ", ".join(f"{together:g}: {energy_j:g}" for together, energy_j in curve.points)
        yield f"| {curve.conditions} | {points} | {curve.source} |"
    yield "\n## Single figures\n"
    yield "Too little is known of how they came about to hold a result against them.\n"
    yield "| what | figure | source |\n|---|---:|---|"
    yield from (f"| {one.what} | {one.value:g} {one.unit} | {one.source} |" for one in published_figures())
    yield ""


PAGES = {
    "command-line.md": command_line,
    "exit-codes.md": exit_codes,
    "configuration.md": configuration,
    "environment-variables.md": environment_variables,
    "backends.md": backends,
    "result.md": result,
    "validity.md": validity,
    "json-schemas.md": json_schemas,
    "published-figures.md": published,
}


def made() -> dict[Path, str]:
    """What each file should hold."""
    pages = {HERE / "reference" / name: MADE + "\n" + "\n".join(page()) for name, page in PAGES.items()}
    return pages | {HERE.parent / "schemas" / f"{name}.json": schema_text(name) for name in SCHEMAS}


def main() -> int:
    """Write the pages, or check them."""
    stale = [path for path, text in made().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        print("\n".join(f"stale: {path.relative_to(HERE.parent)}" for path in stale) or "reference is up to date")
        return int(bool(stale))
    for path, text in made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def _fields(model: type[Section]) -> Iterator[str]:
    yield "| key | type | default | what it is |\n|---|---|---|---|"
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        default = (
            "required"
            if field.is_required()
            else ""
            if section
            else _default(field.get_default(call_default_factory=True))
        )
        what = field.description or (_paragraph(section) if section else "")
        yield f"| `{name}` | {'section' if section else _type(field.annotation)} | {default} | {what} |"
    yield ""


def _setting(key: str) -> str:
    """What a setting of the user configuration is, by its dotted key."""
    section, _, name = key.partition(".")
    model = _section(UserConfig.model_fields[section].annotation)
    assert model is not None
    return model.model_fields[name].description or ""


def _study_outcomes() -> tuple[str, ...]:
    return typing.get_args(StudyResult.model_fields["outcome"].annotation)


def _section(annotation: Any) -> type[Section] | None:
    options = [annotation, *typing.get_args(annotation)]
    return next(
        (
            item
            for item in options
            if isinstance(item, type) and issubclass(item, Section) and item.__name__.endswith(("Config", "Settings"))
        ),
        None,
    )


def _records(annotation: Any) -> Iterator[type[Record]]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
    for item in typing.get_args(annotation):
        yield from _records(item)


def _type(annotation: Any) -> str:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " / ".join(f"`{value}`" for value in args)
    if origin is typing.Annotated:
        return _type(args[0])
    if type(None) in args:
        return " or ".join(_type(item) for item in args if item is not type(None)) + ", optional"
    if origin is tuple:
        return f"list of {_type(args[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return (
            "mapping"
            if typing.Any in args or len(str(annotation)) > 60
            else f"mapping of {_type(args[0])} to {_type(args[1])}"
        )
    if args:
        return " or ".join(dict.fromkeys(_type(item) for item in args))
    return getattr(annotation, "__name__", str(annotation))


def _default(value: Any) -> str:
    if value is None or value == {} or value == ():
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _paragraph(model: type[Any]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    raise SystemExit(main())
