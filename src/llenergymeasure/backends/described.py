"""Engines that are described and not driven yet: their options are checked, their probe says what is missing."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from llenergymeasure.backends.contract import BackendSpec, Session, Tokenizer, not_served
from llenergymeasure.errors import BackendError
from llenergymeasure.model.job import ConvertJob, ModelRef, ServeJob, TrialJob

if TYPE_CHECKING:
    from llenergymeasure.model.event import Found, Missing


class DescribedBackend:
    """A backend of which the specification stands: configurations for it can be written, checked and hashed."""

    def __init__(self, spec: BackendSpec) -> None:
        self.spec = spec

    def probe(self) -> Found | Missing:
        """Always ``Missing``: whether the engine is installed or not, and what can be done."""
        from llenergymeasure.model.event import Missing

        try:
            installed = version(self.spec.engine)
        except PackageNotFoundError:
            return Missing(self.spec.name, f"{self.spec.engine} is not installed here", self._remedy())
        return Missing(self.spec.name, f"{self.spec.engine} {installed} is installed", self._remedy())

    def tokenizer(self, model: ModelRef, *, trust_remote_code: bool = False) -> Tokenizer:
        raise self._refusal()

    def open(self, job: TrialJob) -> Session:
        raise self._refusal()

    def convert(self, job: ConvertJob) -> None:
        raise self._refusal()

    def serve(self, job: ServeJob) -> None:
        raise not_served(self.spec)

    def _remedy(self) -> str:
        return (
            f"this version of llem checks configurations for {self.spec.name} and cannot run them; {self.spec.remedy}"
        )

    def _refusal(self) -> BackendError:
        return BackendError(f"{self.spec.name} cannot be run by this version of llem", hint=self.spec.remedy)
