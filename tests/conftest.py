from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time, and no time limit on one: a busy machine fails no test.
settings.register_profile("llem", deadline=None, max_examples=60, database=None, derandomize=True)
settings.load_profile("llem")


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test run: for tests that would fill or read the user's."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("LLEM_CACHE_DIR", str(folder))
    return folder
