"""Where the user's configuration is: for those who need no more of it, such as a meter that must be there at once."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def user_config_path() -> Path:
    """Where the user's configuration is looked for."""
    return Path(platformdirs.user_config_dir("llenergymeasure", appauthor=False)) / "config.yaml"
