"""``llem``: the entry of the command line, and its last border."""

from __future__ import annotations

import os
import sys

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:  # asked by scripts, often: not worth loading a command line for
        from llenergymeasure._version import __version__

        print(f"llem {__version__}")  # noqa: T201
        return 0
    import click

    from llenergymeasure.cli.group import llem

    try:
        outcome = llem.main(arguments, prog_name="llem", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)  # noqa: T201 - the last word of the process
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone: end quietly, also when the interpreter flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:  # the border of the command line: no traceback unless it was asked for
        from llenergymeasure.cli.failing import report_error

        return report_error(error, arguments)
    return outcome if isinstance(outcome, int) else 0
