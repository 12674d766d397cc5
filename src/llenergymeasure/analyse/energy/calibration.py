"""A channel against a reference meter."""

from __future__ import annotations

import math

from llenergymeasure.analyse.energy.series import Joules
from llenergymeasure.analyse.energy.uncertainty import SHARED
from llenergymeasure.errors import ConfigError
from llenergymeasure.model.profile import Calibration


def calibration_of(
    found: Joules, reference_j: float, u_reference: float, *, reference: str, measured_at: str
) -> Calibration:
    """The gain by what both showed for the same time, and its uncertainty: the reference's, and the channel's own but its gain.

    ``u_reference`` is the relative standard uncertainty of the reference meter. Raises ``ConfigError`` for what cannot be.
    """
    if reference_j <= 0 or u_reference < 0:
        raise ConfigError(
            f"a reference of {reference_j:g} J known to {u_reference * 100:.2f} % calibrates nothing",
            hint="give what the reference meter showed, in joules, and its standard uncertainty",
        )
    own = (relative for name, relative in found.terms if name not in SHARED)
    return Calibration(found.energy_j / reference_j, math.hypot(u_reference, *own), reference, measured_at)
