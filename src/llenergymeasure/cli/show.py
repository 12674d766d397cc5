"""What a command prints. Whoever reads it may leave before its end (``llem run … | head -1``)."""

from __future__ import annotations

import os
import sys

import click


def show(text: str) -> None:
    """Print on stdout. A reader that has gone ends the output and nothing else: the command goes on to its own exit status."""
    try:
        click.echo(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
