"""``llem config``: its options. What they start is imported when it is called."""

from __future__ import annotations

import click


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Every effective setting and where it comes from.")
@click.option("--check", is_flag=True, help="Exit 1 when something is wrong, or no engine can run.")
@click.option("--init", is_flag=True, help="Write a user configuration, after showing it.")
@click.option(
    "--schema",
    type=click.Choice(["experiment", "study", "user", "result"]),
    help="Print the JSON Schema of a file.",
)
@click.option("--characterise", is_flag=True, help="Find out how this machine's sensors behave, under a load of 20 s.")
@click.option(
    "--calibrate", metavar="CHANNEL", help="Hold a channel (source:device:domain:kind) against a reference meter."
)
@click.option("--joules", type=float, help="With --calibrate: what the reference meter showed; asked for otherwise.")
@click.option("--percent", type=float, help="With --calibrate: its standard uncertainty; asked for otherwise.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def config(
    verbose: bool,
    check: bool,
    init: bool,
    schema: str | None,
    characterise: bool,
    calibrate: str | None,
    joules: float | None,
    percent: float | None,
    as_json: bool,
) -> int:
    """Show what can run here, how energy will be measured, and what to install next."""
    if as_json and (characterise or calibrate is not None):
        raise click.UsageError("--json is for what llem config shows: a profile or calibration is kept as JSON anyway")
    if calibrate is None and not (joules is None and percent is None):
        raise click.UsageError("--joules and --percent go with --calibrate CHANNEL")
    if schema is not None:
        from llenergymeasure.cli.schemas import print_schema

        return print_schema(schema)
    if init:
        from llenergymeasure.cli.init import write_user_config

        return write_user_config()
    if characterise:
        from llenergymeasure.cli.sensors import characterise_sensors

        return characterise_sensors()
    if calibrate is not None:
        from llenergymeasure.cli.sensors import calibrate_channel

        return calibrate_channel(calibrate, joules=joules, percent=percent)
    from llenergymeasure.cli.showing import show_config

    return show_config(verbose=verbose, check=check, as_json=as_json)
