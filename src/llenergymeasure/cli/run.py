"""``llem run``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from llenergymeasure.api import settings_here, study_of_one
from llenergymeasure.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from llenergymeasure.cli.overrides import Overrides, experiment_with, study_with
from llenergymeasure.clock import MonotonicClock
from llenergymeasure.config.settings import Settings
from llenergymeasure.config.study import StudyConfig, is_study
from llenergymeasure.config.yaml_strict import Document, load_yaml
from llenergymeasure.report.observer import Observer, Silent
from llenergymeasure.report.screen import screen_for
from llenergymeasure.report.study_table import study_lines
from llenergymeasure.schema.study import StudyResult
from llenergymeasure.store.unfinished import unfinished_studies
from llenergymeasure.study.options import RunOptions
from llenergymeasure.study.run import resume as resume_study
from llenergymeasure.study.run import start


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("-m", "--model", help="Hub id, local directory, .gguf file, or builtin:<name>.")
@click.option("-b", "--backend", help="Inference engine; of a study's engines, this one only.")
@click.option("-d", "--dataset", help="mixed, synthetic, a file, or a hub id.")
@click.option("-n", type=int, help="Prompts.")
@click.option("--batch-size", type=int, help="Requests worked on together; sets each engine's own option.")
@click.option("--precision", help="fp32, fp16, bf16 or as_stored.")
@click.option("--max-new-tokens", type=int, help="Output tokens a request.")
@click.option("--device", help="auto, cpu, cuda, mps or xpu.")
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any other setting by its dotted path; repeatable."
)
@click.option("--cycles", type=int, help="Independent repetitions of each experiment.")
@click.option("--order", help="sequential, interleaved or shuffled.")
@click.option("--max-time", type=float, metavar="SECONDS", help="Time budget: ends cleanly between trials.")
@click.option("--quick", is_flag=True, help="Short window and warm-up, one cycle; results are marked preliminary.")
@click.option("--energy", help="Energy source: auto, none, or a name that llem config lists.")
@click.option("--runner", "runners", multiple=True, metavar="[BACKEND=]AT", help="Where workers run: local, venv:PATH.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Results directory.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Go on with a study that was stopped.")
@click.option("--retry-failed", is_flag=True, help="With --resume: run again what failed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="The summary only.")
@click.option("-v", "--verbose", count=True, help="More; -vv with tracebacks.")
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> int:
    """Measure a model, an experiment file or a study.

    CONFIG is a YAML file: an experiment, or a study when it sweeps or lists. Flags beat the file.
    """
    settings = settings_here(_setting_flags(given))
    observer = _observer(given, settings)
    if given["resume"] is not None:
        options = RunOptions(settings, retry_failed=given["retry_failed"])
        return _end(resume_study(given["resume"], options, observer), given)
    if given["config"] is None and given["model"] is None:
        click.echo(ctx.get_help(), err=True)
        return EXIT_USAGE
    results_dir = Path(settings.values.output.results_dir)
    for folder in unfinished_studies(results_dir):
        observer.say(f"unfinished: {folder} (go on with: llem run --resume {folder})")
    study, options = _asked(given, settings)
    return _end(start(study, results_dir, options, observer), given)


def _asked(given: dict[str, Any], settings: Settings) -> tuple[StudyConfig, RunOptions]:
    """What is to be run: a study file, or a single experiment as a study of one."""
    document = load_yaml(given["config"]) if given["config"] is not None else None
    overrides = Overrides.of_flags(
        given["sets"],
        backend=given["backend"],
        batch_size=given["batch_size"],
        shared={
            "model": given["model"],
            "dataset": given["dataset"],
            "n": given["n"],
            "precision": given["precision"],
            "device": given["device"],
            "decoder.max_new_tokens": given["max_new_tokens"],
        },
        execution={"n_cycles": given["cycles"], "cycle_order": given["order"], "max_seconds": given["max_time"]},
    )
    single = document is None or not is_study(document.data)
    if single or document is None:
        whole = document or Document(Path("command line"), {})
        study = study_of_one(experiment_with(whole, overrides))
        study = study.model_copy(update={"execution": overrides.execution_over(study.execution)})
    else:
        study = study_with(document, overrides)
    return study, RunOptions(
        settings,
        base=document.path.parent if document else Path(),
        source=document.path.read_text(encoding="utf-8") if document else None,
        energy_source=given["energy"],
        quick=given["quick"],
        single=single,
    )


def _setting_flags(given: dict[str, Any]) -> dict[str, Any]:
    from llenergymeasure import plugins

    flags: dict[str, Any] = {}
    if given["output"] is not None:
        flags["output.results_dir"] = str(given["output"])
    for runner in given["runners"]:
        backend, is_for_one, at = runner.rpartition("=")
        for name in [backend] if is_for_one else plugins.built_in("backends"):
            flags[f"runners.{name}"] = at
    return flags


def _observer(given: dict[str, Any], settings: Settings) -> Observer:
    verbosity = settings.values.ui.verbosity
    if given["quiet"] or (verbosity == "quiet" and not given["verbose"]):
        return Silent()
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    verbose = bool(given["verbose"]) or verbosity == "verbose"
    return screen_for(sys.stderr, MonotonicClock(), verbose=verbose, plain=plain)


def _end(result: StudyResult, given: dict[str, Any]) -> int:
    """Print what came of it and return the exit status."""
    if given["as_json"]:
        document = json.loads(result.model_dump_json())
        click.echo(json.dumps({"outcome": result.outcome, "study": document}, indent=1))
    elif result.planned == 1 and result.results:
        click.echo(f"Result  {result.folder}/")
        click.echo("")
        click.echo(result.results[0].summary())
    else:
        click.echo(f"Result  {result.folder}/")
        click.echo("")
        width = os.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in study_lines(result, width):
            click.echo(line)
    if result.outcome == "interrupted":
        return EXIT_INTERRUPTED
    nothing_valid = not any(found.validity.valid for found in result.results)
    return EXIT_FAILED if result.outcome != "complete" or nothing_valid else 0
