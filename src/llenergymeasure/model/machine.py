"""What a process runs on: the machine, the interpreter, and the model's architecture, as facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Who wrote a file and on which clock. Equal ``boot_id`` and ``time_namespace``: stamps compare with offset 0."""

    protocol_version: int
    pid: int
    pid_namespace: int | None
    boot_id: str
    time_namespace: int | None
    python_version: str


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator as its driver describes it. ``None`` where the driver does not say.

    ``power_limit_w`` is the limit in force, ``power_limit_default_w`` the one it leaves the factory with; ``*_clock_max_mhz``
    are the highest clocks, ``application_*_clock_mhz`` the ones that are asked for. ``virtualization`` is ``none``,
    ``passthrough`` (a whole board, handed to a virtual machine) or a way of sharing one; ``compute_mode`` says how many processes
    may work on it. Performance state, fan, temperatures and the PCIe link are those of the moment; ``power_smoothing_profile`` is
    the number of the active preset where power is smoothed.
    """

    uuid: str
    name: str
    memory_bytes: int | None = None
    driver_version: str | None = None
    vbios_version: str | None = None
    compute_capability: str | None = None
    power_limit_w: float | None = None
    power_limit_default_w: float | None = None
    sm_clock_max_mhz: int | None = None
    memory_clock_max_mhz: int | None = None
    application_sm_clock_mhz: int | None = None
    application_memory_clock_mhz: int | None = None
    persistence_mode: bool | None = None
    ecc: bool | None = None
    mig: bool | None = None
    virtualization: str | None = None
    compute_mode: str | None = None
    performance_state: int | None = None
    fan_percent: int | None = None
    temperature_c: int | None = None
    memory_temperature_c: int | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    power_smoothing_profile: int | None = None


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python, with the versions of the packages that decide what it does.

    ``cuda_version`` is the CUDA that is here and ``cuda_source`` what says so (``torch``, which brings its own, ``version file``
    or ``nvcc``); ``container`` is the runtime that it runs in (``docker``, ``podman``, ...), ``None`` outside of any that is
    known.
    """

    python_version: str
    implementation: str
    packages: Mapping[str, str] = field(default_factory=dict)
    cuda_version: str | None = None
    cuda_source: str | None = None
    container: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """The host of a trial.

    ``distribution`` is the operating system's own name with its version; ``power_source`` is ``mains`` or ``battery``, ``None``
    for a machine without a battery; ``interpreter`` is the Python of the trial driver. No name of a host or a user is kept.
    """

    os: str
    kernel: str
    architecture: str
    cpu_model: str
    logical_cpus: int
    visible_cpus: int
    memory_bytes: int
    cpu_governor: str | None
    power_source: str | None
    gpus: tuple[Gpu, ...] = ()
    distribution: str | None = None
    interpreter: Interpreter | None = None


@dataclass(frozen=True, slots=True)
class GitState:
    """Where a file stands in its git repository: the commit that is checked out, and whether the file differs from it."""

    commit: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder's shape, as far as counting its arithmetic and its memory needs it.

    ``parameters`` counts every weight once (tied embeddings once); ``embedding_parameters`` those that are looked up and not
    multiplied (input embedding, learned positions); ``active_parameters`` those that one token passes through (all, unless
    experts are routed). ``key_value_heads`` and ``head_dim`` are the cache's. ``sliding_layers`` of the layers attend to the last
    ``sliding_window`` positions only. ``intermediate_size`` is the width of one feed-forward network, or of one expert where all
    layers route; ``experts`` are the routed ones of a layer, shared ones left out.
    """

    family: str
    layers: int
    hidden_size: int
    attention_heads: int
    key_value_heads: int
    head_dim: int
    vocabulary: int
    context_limit: int
    parameters: int
    active_parameters: int
    embedding_parameters: int
    tied_embeddings: bool
    intermediate_size: int | None = None
    experts: int | None = None
    experts_per_token: int | None = None
    sliding_window: int | None = None
    sliding_layers: int = 0

    def key_value_elements(self, positions: int) -> int:
        """Numbers in the key-value cache of one sequence of ``positions``: 2·n_kv·d_h a layer and position held."""
        windowed = min(positions, self.sliding_window or positions)
        held = (self.layers - self.sliding_layers) * positions + self.sliding_layers * windowed
        return 2 * self.key_value_heads * self.head_dim * held
