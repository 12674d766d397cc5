"""A tracker that answers as CodeCarbon's does."""

from __future__ import annotations

from types import SimpleNamespace

from llenergymeasure.energy.codecarbon import Kept


class TrackerDouble:
    """Each flush finds ``step_kwh`` more; one that is ``broken`` hands over nothing, as CodeCarbon does with its errors."""

    def __init__(
        self, kept: Kept, *, country: str | None = "FRA", step_kwh: float = 0.001, broken: bool = False
    ) -> None:
        self.kept = kept
        self.country = country
        self.step_kwh = step_kwh
        self.broken = broken
        self.calls: list[str] = []
        self._conf = {"hardware": ["RAM()", "CPU(Cpu Load)"]}
        self._kwh = 0.0

    def start(self) -> None:
        self.calls.append("start")

    def flush(self) -> float | None:
        self.calls.append("flush")
        if self.broken:
            return None
        self._kwh += self.step_kwh
        emissions_kg = self._kwh * 0.056
        total = SimpleNamespace(energy_consumed=self._kwh, emissions=emissions_kg, country_iso_code=self.country)
        self.kept.out(total, total)
        return emissions_kg

    def stop(self) -> float | None:
        self.calls.append("stop")
        return None
