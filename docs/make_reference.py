"""Writes the reference pages from the code: ``python docs/make_reference.py [--check]``.

With ``--check`` nothing is written; the exit status is 1 when a page differs from what the code says.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from llenergymeasure import plugins
from llenergymeasure.cli.group import llem
from llenergymeasure.cli.schemas import schema_text
from llenergymeasure.config.backend_section import spec_of
from llenergymeasure.config.experiment import LATER, ExperimentConfig
from llenergymeasure.config.sections import Section
from llenergymeasure.config.settings import VARIABLES
from llenergymeasure.config.study import ExecutionConfig
from llenergymeasure.config.user import UserConfig
from llenergymeasure.data.carbon_intensity import known_regions
from llenergymeasure.model.outcome import FailureKind
from llenergymeasure.models.presets import PRESETS
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.quantity import Record
from llenergymeasure.schema.validity import CODES

HERE = Path(__file__).parent
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
    yield "## Exit status\n"
    yield "| status | when |\n|---|---|"
    yield "| 0 | everything that was asked for ran (skipped points are listed, and are no errors) |"
    yield "| 1 | a trial failed; pre-flight found a problem; nothing valid resulted; a limit stopped the study |"
    yield "| 2 | usage or configuration: no valid point, a bad file, a bad flag |"
    yield "| 130 | interrupted: once, the batch is finished and everything kept; twice, it ends at once |\n"
    yield "Programs that must tell cases of 1 apart read `--json`: its `outcome` is `complete`, `failed_trials`, `limit`, `interrupted`,"
    yield "`preflight`, `config` or `error`.\n"
    kinds = ", ".join(f"`{kind}`" for kind in typing.get_args(FailureKind))
    yield f"A failed trial has a kind: {kinds}.\n"


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
    yield "Everything of an experiment, and:\n"
    yield "| key | what it is |\n|---|---|"
    yield "| `name` | not given: the file's name |"
    yield "| `backend` | a list gives each engine a grid of its own |"
    yield "| `sweep` | dotted keys to lists of values; a key that begins with a backend belongs to that backend's grid |"
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
    yield "### Variables\n"
    yield "| variable | sets |\n|---|---|"
    yield from (f"| `{variable}` | `{key}` |" for variable, key in VARIABLES.items())
    yield "| `LLEM_RUNNER_<BACKEND>` | `runners.<backend>` |"
    yield "| `LLEM_CACHE_DIR` | where models, inputs and the worker's files are kept |\n"
    yield f"`region` takes ISO 3166 codes; {len(known_regions())} are known. `NO_COLOR`, `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they mean elsewhere.\n"


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
        yield f"{_paragraph(model)}\n"
        yield "| field | type |\n|---|---|"
        yield from (f"| `{name}` | {_type(field.annotation)} |" for name, field in model.model_fields.items())
        yield ""
        for field in model.model_fields.values():
            for inner in _records(field.annotation):
                if inner not in seen:
                    yield from group(inner, inner.__name__)

    yield from group(ExperimentResult, "ExperimentResult")


def validity() -> Iterator[str]:
    """Every code."""
    yield "# Validity codes\n"
    yield "A result with an `error` is kept, marked invalid, and left out of rankings.\n"
    yield "| code | severity | what helps |\n|---|---|---|"
    yield from (f"| `{code}` | {severity} | {remedy} |" for code, (severity, remedy) in sorted(CODES.items()))
    yield ""


PAGES = {
    "command-line.md": command_line,
    "configuration.md": configuration,
    "backends.md": backends,
    "result.md": result,
    "validity.md": validity,
}
SCHEMAS = ("experiment", "study", "user", "result")


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
