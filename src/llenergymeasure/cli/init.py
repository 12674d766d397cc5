"""``llem config --init``."""

from __future__ import annotations

import sys

import click

from llenergymeasure.config.place import user_config_path
from llenergymeasure.errors import StoreError
from llenergymeasure.store.atomic import write_text

_TEMPLATE = """\
# llem on this machine: how and where to run. What is measured stands in experiment and study files.
# Every line here may be left out; `llem config --verbose` shows what holds and where it comes from.

output:
  results_dir: ./results

# Where an engine lives, when that is not the interpreter llem runs in:
# runners:
#   pytorch: venv:~/envs/pytorch

# What carbon and cost need; nothing is assumed:
# measurement:
#   region: FR
#   carbon_intensity_gco2_kwh: 56
#   datacenter_pue: 1.2
#   electricity_price_per_kwh: 0.25
#   currency: EUR
"""


def write_user_config() -> int:
    """Show the file, ask on a terminal, write it. An existing one is never touched."""
    path = user_config_path()
    if path.exists():
        raise StoreError(f"{path}: exists already", hint="edit it; llem config --verbose shows what holds")
    click.echo(f"# {path}")
    click.echo(_TEMPLATE, nl=False)
    if sys.stdin.isatty() and not click.confirm("Write this file?", default=True, err=True):
        return 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be made: {error.strerror}") from error
    write_text(path, _TEMPLATE)
    click.echo(f"written: {path}", err=True)
    return 0
