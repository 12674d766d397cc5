"""What this machine says of itself."""

from __future__ import annotations

import getpass
import json
import platform
import socket

from llenergymeasure.machine.snapshot import snapshot
from llenergymeasure.model.codec import encode


def test_the_machine_of_a_trial() -> None:
    """Whole numbers that are not zero, the driver's own interpreter, and no name of the host."""
    found = snapshot()
    assert found.memory_bytes > 2**28 and 0 < found.visible_cpus <= found.logical_cpus
    assert (found.os, found.kernel) == (platform.system(), platform.release())
    assert found.interpreter is not None and found.interpreter.python_version == platform.python_version()
    assert {"numpy", "scipy", "pydantic", "pyarrow"} <= set(found.interpreter.packages)
    text = json.dumps(encode(found))
    assert socket.gethostname() not in text
    assert getpass.getuser() == "root" or getpass.getuser() not in text
