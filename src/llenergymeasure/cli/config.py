"""``llem config``: its options. What they start is imported when it is called."""

from __future__ import annotations

import click


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Every effective setting and where it comes from.")
@click.option("--check", is_flag=True, help="Exit 1 when no engine can run.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def config(verbose: bool, check: bool, as_json: bool) -> int:
    """Show what can run here, how energy will be measured, and what to install next."""
    from llenergymeasure.cli.showing import show_config

    return show_config(verbose=verbose, check=check, as_json=as_json)
