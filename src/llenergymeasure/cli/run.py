"""``llem run``: its options. What they start is imported when it is called, so that help and completion cost nothing."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import click

from llenergymeasure.cli.duration import Duration


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
@click.option(
    "--target-rel-ci",
    type=float,
    metavar="X",
    help="Go on until each 95 % repeatability interval is within X (0.02: 2 %) of its value.",
)
@click.option(
    "--max-time", type=Duration(), metavar="TIME", help="Time budget (90, 30m, 2h): ends cleanly between trials."
)
@click.option("--quick", is_flag=True, help="Short window and warm-up, one cycle; results are marked preliminary.")
@click.option("--energy", help="Energy source: auto, none, or a name that llem config lists.")
@click.option("--runner", "runners", multiple=True, metavar="[BACKEND=]AT", help="Where workers run: local, venv:PATH.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Results directory.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Go on with a study that was stopped, or, with CONFIG, top it up.",
)
@click.option("--retry-failed", is_flag=True, help="With --resume: run again what failed.")
@click.option("--accept-changes", is_flag=True, help="With --resume: take a changed study without being asked.")
@click.option("--no-lock", is_flag=True, help="Do not wait for other studies on the same devices.")
@click.option(
    "--notify", is_flag=True, help="Tell the configured webhook how it ended, whatever the configuration says."
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would run, whether it fits, and how long it takes; start nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="The summary only.")
@click.option("-v", "--verbose", count=True, help="More; -vv with tracebacks.")
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> int:
    """Measure a model, an experiment file or a study.

    CONFIG is a YAML file: an experiment, or a study when it sweeps or lists. Flags beat the file.
    """
    from llenergymeasure.cli.exits import EXIT_USAGE

    if given["config"] is None and given["model"] is None and given["resume"] is None:
        click.echo(ctx.get_help(), err=True)
        return EXIT_USAGE
    if given["dry_run"]:
        gc.disable()  # what a dry run makes lives to its end: looking for garbage takes a seventh of its time
        try:
            from llenergymeasure.cli.dry_run import show_plan

            return show_plan(given)
        finally:
            gc.freeze()  # nor does the interpreter look through it as it ends
            gc.enable()
    from llenergymeasure.cli.running import run_as_asked

    return run_as_asked(given)
