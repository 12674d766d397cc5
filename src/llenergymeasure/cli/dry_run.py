"""What ``llem run --dry-run`` does. It loads no library of numbers or columns: it is there at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llenergymeasure.cli.asking import asked, settings_of_flags
from llenergymeasure.cli.show import show
from llenergymeasure.errors import ConfigError
from llenergymeasure.report.dry_run import dry_run_lines
from llenergymeasure.study.dry_run import dry_run


def show_plan(given: Mapping[str, Any]) -> int:
    """Print the plan as lines, or as one document, and return the exit status. Raises ``ConfigError`` for no valid point."""
    if given["resume"] is not None:
        raise ConfigError("--dry-run plans a study from its beginning", hint="leave out --resume")
    settings = settings_of_flags(given)
    study, options = asked(given, settings)
    plan = dry_run(study, options, Path(settings.values.output.results_dir))
    if given["as_json"]:
        show(plan.model_dump_json(indent=1))
        return 0
    width = os.get_terminal_size().columns if sys.stdout.isatty() else None
    show("\n".join(dry_run_lines(plan, width)))
    return 0
