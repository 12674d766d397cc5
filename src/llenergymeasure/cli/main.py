"""``llem``: the entry of the command line, and its last border."""

from __future__ import annotations

import os
import sys

from llenergymeasure.cli.exits import EXIT_INTERRUPTED, EXIT_USAGE


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:  # asked by scripts, often: not worth loading a command line for
        from llenergymeasure._version import __version__

        print(f"llem {__version__}")  # noqa: T201
        return 0
    _mend_streams()
    # pydantic would look for plug-ins of its own in every installed distribution.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        return _run(arguments)
    except BrokenPipeError:
        return 0  # whoever read the output has gone, with what they wanted
    finally:
        _flush()


def _run(arguments: list[str]) -> int:
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
        raise
    except SystemExit:  # click's way out when whoever read the output has gone
        return 0
    except Exception as error:  # the border of the command line: no traceback unless it was asked for
        from llenergymeasure.cli.failing import report_error

        return report_error(error, arguments)
    return outcome if isinstance(outcome, int) else 0


def _mend_streams() -> None:
    """Streams that can be written to: a closed one leads nowhere, and what its encoding lacks is replaced."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # else the next file to be opened would take its place, and get what is printed
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="replace")


def _flush() -> None:
    """Flush both streams; one that cannot be written to is led nowhere, or the interpreter would complain as it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
