"""Whether two experiments can be compared: what was the same, what differs by design, and what differs besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

from llenergymeasure.schema.environment import GpuRecord
from llenergymeasure.schema.experiment import ExperimentResult
from llenergymeasure.schema.study import Comparability, ComparabilityVerdict, Differing

# What decides which token ids an experiment is given.
_INPUT_KEYS = ("model", "dataset", "n", "dataset_order", "prompt_format", "max_input_tokens", "random_seed")


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that results of one comparison should share.

    ``follows`` are the keys of the configuration that decide it: where a study varies one of them, it differs by design.
    ``grave``: two that differ in it do not measure the same thing.
    """

    field: str
    of: Callable[[ExperimentResult], Any]
    follows: tuple[str, ...] = ()
    grave: bool = False


def machine_of(result: ExperimentResult) -> str:
    """The boards that worked with their drivers, and the processor: what is measured side by side is so on one of them."""
    return "; ".join([_cpu(result), *(f"{gpu.uuid} {gpu.driver_version}" for gpu in _gpus(result))])


def _gpus(result: ExperimentResult) -> list[GpuRecord]:
    machine, used = result.environment.machine, _provenance(result, "session", "device_ids") or ()
    return [] if machine is None else [gpu for gpu in machine.gpus if gpu.uuid in used]


def _cpu(result: ExperimentResult) -> str:
    machine = result.environment.machine
    return "" if machine is None else f"{machine.cpu_model}, {machine.visible_cpus} CPUs"


def _provenance(result: ExperimentResult, *keys: str) -> Any:
    value: Any = result.provenance
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _of(*keys: str) -> Callable[[ExperimentResult], Any]:
    return lambda result: _provenance(result, *keys)


def _protocol(result: ExperimentResult) -> str:
    protocol = _provenance(result, "protocol") or {}
    parts = (f"{name} {protocol.get(name)}" for name in ("warmup", "window", "preliminary") if name in protocol)
    return ", ".join(parts)


FACTS = (
    Fact("energy_scope", lambda result: result.energy_scope, grave=True),
    Fact("dataset", _of("inputs", "dataset_sha256"), ("dataset",), grave=True),
    Fact("prompts", _of("inputs", "n"), ("n", "dataset"), grave=True),
    Fact("token_ids", _of("inputs", "sha256"), _INPUT_KEYS),
    Fact("model_revision", _of("model", "revision"), ("model", "model_revision")),
    Fact("model_weights", _of("model", "weights_sha256"), ("model", "model_revision", "weights")),
    Fact("precision", _of("precision"), ("precision",)),
    Fact("device", _of("device"), ("device",)),
    Fact(
        "engine_version",
        lambda result: f"{result.environment.engine} {result.environment.engine_version}",
        ("backend", "environment"),
    ),
    Fact("board", lambda result: "; ".join(f"{gpu.name} {gpu.uuid}" for gpu in _gpus(result)), ("device",)),
    Fact("driver", lambda result: ", ".join({str(gpu.driver_version) for gpu in _gpus(result)}), ("device",)),
    Fact(
        "power_limit_w", lambda result: ", ".join(str(gpu.power_limit_w) for gpu in _gpus(result)), ("device", "power")
    ),
    Fact(
        "power_smoothing_profile",
        lambda result: ", ".join(str(gpu.power_smoothing_profile) for gpu in _gpus(result)),
        ("device",),
    ),
    Fact("processor", _cpu),
    Fact("protocol", _protocol),
    Fact("llenergymeasure_version", lambda result: result.llenergymeasure_version),
)


# The keys that decide one of them.
_DECIDING = frozenset(key for fact in FACTS for key in fact.follows)


def between(a: ExperimentResult, b: ExperimentResult, varied: Sequence[str] = ()) -> tuple[Differing, ...]:
    """What differs between two results beyond the keys that are ``varied`` on purpose and what follows from them.

    Where nothing is varied on purpose, the configurations count too, by their hash.
    """
    hashes = a.measurement_config_hash, b.measurement_config_hash
    configuration = [Differing(field="measurement_config_hash", values=hashes)] if hashes[0] != hashes[1] else []
    return (*([] if varied else configuration), *_differing(_facts([a]), _facts([b]), varied))


def verdict_of(differing: Sequence[Differing]) -> ComparabilityVerdict:
    """``comparable``, ``with caveats`` or ``not comparable``."""
    if not differing:
        return "comparable"
    return "not comparable" if any(found.grave for found in differing) else "with caveats"


def comparabilities(
    experiments: Sequence[tuple[Mapping[str, Any], Sequence[ExperimentResult]]],
) -> tuple[Comparability, ...]:
    """The pairs of a study's experiments, each (varied, results), that are not simply comparable; those alike are one."""
    classes: dict[object, list[int]] = {}
    facts = [_facts(results) for _, results in experiments]
    deciding = [_deciding(varied) for varied, _ in experiments]
    for place, (_, results) in enumerate(experiments):
        if results:
            classes.setdefault((tuple(facts[place]), tuple(deciding[place].items())), []).append(place)
    found = []
    for first, second in combinations_with_replacement(classes.values(), 2):
        one, other = first[0], second[0]
        varied = [key for key in _DECIDING if deciding[one].get(key) != deciding[other].get(key)]
        differing = tuple(_differing(facts[one], facts[other], varied))
        if differing:
            verdict = verdict_of(differing)
            found.append(Comparability(first=tuple(first), second=tuple(second), verdict=verdict, differing=differing))
    return tuple(found)


def _deciding(varied: Mapping[str, Any]) -> dict[str, str]:
    """The varied values that decide a fact, by the first part of their keys, in order of these."""
    found: dict[str, str] = {}
    for key, value in sorted(varied.items()):
        root = key.partition(".")[0]
        if root in _DECIDING:
            found[root] = found.get(root, "") + f"{key}={value!r};"
    return found


def _facts(results: Sequence[ExperimentResult]) -> list[tuple[str, ...]]:
    """The values of each fact over the cycles of an experiment, in order of first sight."""
    return [tuple(dict.fromkeys(_words(fact.of(result)) for result in results)) for fact in FACTS]


def _words(value: Any) -> str:
    return "not known" if value in (None, "") else str(value)


def _differing(one: list[tuple[str, ...]], other: list[tuple[str, ...]], varied: Sequence[str]) -> Iterator[Differing]:
    for fact, ours, theirs in zip(FACTS, one, other, strict=True):
        if len({*ours, *theirs}) > 1 and not set(fact.follows) & set(varied):
            first, second = (ours[:1], ours[1:]) if ours == theirs else (ours, theirs)
            yield Differing(field=fact.field, values=(", ".join(first), ", ".join(second)), grave=fact.grave)
