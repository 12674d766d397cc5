from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time, and no time limit on one: a busy machine fails no test.
settings.register_profile("llem", deadline=None, max_examples=60, database=None, derandomize=True)
settings.load_profile("llem")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden``: write the stored results anew instead of comparing with them."""
    parser.addoption("--update-golden", action="store_true", help="write the stored results of tests/golden anew")


@pytest.fixture(scope="session", autouse=True)
def _own_runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Locks of devices are those of this test run: no study of the user is waited for, and none waits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test run: for tests that would fill or read the user's."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("LLEM_CACHE_DIR", str(folder))
    return folder


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """``with full_disk(size):`` no file of this process grows beyond ``size`` bytes; to a writer that is a full disk."""
    return _largest_file
