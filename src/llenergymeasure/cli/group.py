"""The commands of ``llem``, imported when they are called, so that help costs nothing."""

from __future__ import annotations

import importlib

import click

from llenergymeasure._version import __version__

# name: (module:attribute, what ``--help`` says)
_COMMANDS = {
    "run": ("llenergymeasure.cli.run:run", "Measure a model, an experiment file or a study."),
    "config": ("llenergymeasure.cli.config:config", "Show what can run here and how energy will be measured."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="llem %(version)s")
def llem() -> None:
    """What a way of serving a language model costs.

    Joules per token, tokens per second, latency and memory, on your own hardware, with an honest uncertainty.

    \b
    llem run -m builtin:smollm2-135m -n 20    measure one model
    llem run study.yaml                       measure a study, and say which configuration is best
    llem config                               what can run here
    """  # noqa: D301 - \\b is a mark of click, not an escape of Python
