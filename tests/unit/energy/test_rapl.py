"""The counters of processor packages, on a powercap tree in a folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llenergymeasure.analyse.energy.headline import energy_of_window
from llenergymeasure.clock import MonotonicClock
from llenergymeasure.energy import estimate
from llenergymeasure.energy.contract import EnergySource, OpenSource, Surroundings, Unavailable
from llenergymeasure.energy.rapl import RaplSource, open_source
from llenergymeasure.energy.rapl_count import CountedZones
from llenergymeasure.energy.rapl_tree import Zone
from llenergymeasure.energy.select import select
from llenergymeasure.model.mark import Interval
from llenergymeasure.model.reading import Channel, Reading, Readings, Readout, Status
from llenergymeasure.testing.powercap_double import RANGE_UJ, PowercapDouble
from llenergymeasure.testing.virtual_clock import VirtualClock
from llenergymeasure.units import NS_PER_S, s_to_ns


@pytest.fixture
def tree(tmp_path: Path) -> PowercapDouble:
    """A processor of one package with all the zones that a kernel may show."""
    double = PowercapDouble(tmp_path / "powercap")
    (double.root / "intel-rapl").mkdir(parents=True)
    double.add("intel-rapl:0", "package-0", uj=7_000_000, power_w=100.0)
    double.add("intel-rapl:0:0", "core", power_w=60.0)
    double.add("intel-rapl:0:1", "uncore", power_w=5.0)
    double.add("intel-rapl:0:2", "dram", uj=3_000_000, power_w=10.0)
    double.add("intel-rapl:1", "psys", power_w=150.0)
    double.add("intel-rapl-mmio:0", "package-0", power_w=100.0)
    return double


def _source(tree: PowercapDouble) -> RaplSource:
    return RaplSource(Surroundings(tree, "a CPU", 8), tree.root, tree.read)


def _open(tree: PowercapDouble) -> tuple[RaplSource, Sequence[Channel]]:
    """The source, with the first reading of each channel done."""
    source = _source(tree)
    channels = source.channels()
    assert not isinstance(channels, Unavailable), channels
    source.read(channels)
    return source, channels


def _unavailable(tree: PowercapDouble) -> Unavailable:
    found = _source(tree).channels()
    assert isinstance(found, Unavailable), found
    return found


def _joules(source: RaplSource, channels: Sequence[Channel]) -> dict[str, float]:
    readings = source.read(channels)
    assert [reading.status for reading in readings] == [Status.OK] * len(channels)
    return {channel.domain: reading.value for channel, reading in zip(channels, readings, strict=True)}


def test_packages_and_memory_are_read_and_nothing_twice(tree: PowercapDouble) -> None:
    """Cores are in the package, psys holds the package, MMIO shows it again: none of them is read."""
    source, channels = _open(tree)
    assert [(c.domain, c.device, c.kind, c.unit, c.covers) for c in channels] == [
        ("package", "cpu", "counter", "J", ()),
        ("dram", "cpu", "counter", "J", ()),
    ]
    assert channels[0].device_name == "a CPU"
    assert [channel.update_period_s for channel in channels] == [0.001, 0.001]
    assert channels[0].resolution == pytest.approx(15.258e-6, rel=1e-3)
    tree.sleep(1.0)
    assert _joules(source, channels) == {"package": 100.0, "dram": 10.0}


@pytest.mark.parametrize(
    ("cpu_model", "stated_error"),
    [
        ("Intel(R) Xeon(R) Platinum 8480+", 0.05),
        ("AMD EPYC 7763 64-Core Processor", 0.10),
        ("Hygon C86 7285 32-core Processor", 0.10),
    ],
)
def test_how_far_counters_may_be_off_depends_on_their_maker(
    tree: PowercapDouble, cpu_model: str, stated_error: float
) -> None:
    """Intel's measure, those of others are the result of a model."""
    channels = RaplSource(Surroundings(tree, cpu_model, 8), tree.root, tree.read).channels()
    assert not isinstance(channels, Unavailable)
    assert {channel.stated_error for channel in channels} == {stated_error}


def test_a_server_of_amd_is_read(tmp_path: Path) -> None:
    """Its zones have Intel's names; each die may be a package of its own, and there is no memory counter."""
    tree = PowercapDouble(tmp_path)
    for number in range(2):
        tree.add(f"intel-rapl:{number}", f"package-{number}-die-0", power_w=120.0)
        tree.add(f"intel-rapl:{number}:0", "core", power_w=50.0)
    source, channels = _open(tree)
    assert [(channel.domain, channel.detail) for channel in channels] == [
        ("package", "package-0-die-0 + package-1-die-0")
    ]
    tree.sleep(1.0)
    assert _joules(source, channels) == {"package": 240.0}


def test_packages_are_summed(tree: PowercapDouble) -> None:
    """Work on ``cpu`` may run on any package, so that its energy is that of all; the channel names them."""
    tree.add("intel-rapl:2", "package-1", power_w=80.0)
    tree.add("intel-rapl:2:0", "dram", power_w=12.0)
    source, channels = _open(tree)
    assert {channel.detail for channel in channels} == {"package-0 + package-1"}
    tree.sleep(1.0)
    assert _joules(source, channels) == {"package": 180.0, "dram": 22.0}


def test_memory_is_left_out_unless_every_package_counts_it(tree: PowercapDouble) -> None:
    """The DRAM of one of two packages would pass for that of the machine."""
    tree.add("intel-rapl:2", "package-1", power_w=80.0)
    _, channels = _open(tree)
    assert [channel.domain for channel in channels] == ["package"]


def test_a_processor_without_a_memory_counter_is_read(tmp_path: Path) -> None:
    """Many processors count the package alone."""
    tree = PowercapDouble(tmp_path)
    tree.add("intel-rapl:0", "package-0")
    _, channels = _open(tree)
    assert [channel.domain for channel in channels] == ["package"]


def test_a_wrap_adds_what_was_used(tree: PowercapDouble) -> None:
    """The counter of one package begins at 0 again, and the sum goes on by the true energy."""
    tree.add("intel-rapl:2", "package-1", uj=RANGE_UJ - 30_000_000, power_w=50.0)
    source, channels = _open(tree)
    before_j = _joules(source, channels)["package"]
    for second in range(1, 4):
        tree.sleep(1.0)
        assert _joules(source, channels)["package"] - before_j == pytest.approx(150.0 * second)


@given(data=st.data(), ranges=st.lists(st.integers(2**31, 2**38), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_sum_is_exact_whatever_wraps(data: st.DataObject, ranges: list[int]) -> None:
    """Any increments below a counter's range, over the time that they take at 1 kW, add up to the microjoule."""
    clock = VirtualClock()
    zones = [Zone(f"package-{n}", "package", Path(str(n)), range_uj) for n, range_uj in enumerate(ranges)]
    start = [data.draw(st.integers(0, range_uj - 1)) for range_uj in ranges]
    total = [0] * len(zones)

    def read(path: Path) -> bytes:
        place = int(path.parent.name)
        return b"%d\n" % ((start[place] + total[place]) % ranges[place])

    counted = CountedZones(zones)
    assert counted.read_j(read, clock) == 0.0
    most_uj = int(min(ranges) * 0.4)
    for _ in range(data.draw(st.integers(1, 30))):
        steps = [data.draw(st.integers(1, most_uj)) for _ in zones]
        total = [had + step for had, step in zip(total, steps, strict=True)]
        clock.sleep(max(steps) / 1e9)
        assert counted.read_j(read, clock) == sum(total) / 1e6


def test_a_reset_is_no_wrap(tree: PowercapDouble) -> None:
    """A fall that only an impossible power could explain starts the sum at 0: a window with it has no energy, and says why."""
    source, channels = _open(tree)
    readings: list[Reading] = []
    for tick in range(200):
        tree.sleep(0.05)
        if tick == 100:
            tree.put("intel-rapl:0", "0\n")
        readings += source.read(channels[:1])
    readout = Readout(tuple(channels[:1]), (), Readings.of(readings), ("cpu",))
    whole = energy_of_window(readout, Interval(readings[10].t_ns, readings[-10].t_ns))
    assert whole.total_j.value is None
    assert whole.resets == ("rapl: the counter fell within the window",)
    after = energy_of_window(readout, Interval(readings[110].t_ns, readings[-10].t_ns))
    assert after.total_j.value == pytest.approx(100.0 * 0.05 * (189 - 110 + 1), rel=0.02)


def test_a_reset_of_one_package_shows_whatever_the_others_use(tree: PowercapDouble) -> None:
    """The sum falls although the package that was not reset used more in the meantime than the other lost."""
    tree.add("intel-rapl:2", "package-1", power_w=900.0)
    source, channels = _open(tree)
    tree.sleep(1.0)
    before_j = _joules(source, channels)["package"]
    tree.put("intel-rapl:0", "0\n")
    tree.sleep(0.05)
    assert _joules(source, channels)["package"] < before_j


def test_a_gap_that_may_hide_a_wrap_is_not_bridged(tree: PowercapDouble) -> None:
    """After a minute without a read nobody knows how often the smallest counter went around."""
    source, channels = _open(tree)
    tree.sleep(1.0)
    assert _joules(source, channels)["package"] > 0
    tree.sleep(60.0)
    assert _joules(source, channels) == {"package": 0.0, "dram": 0.0}
    tree.sleep(1.0)
    assert _joules(source, channels)["package"] == 100.0


@pytest.mark.parametrize(
    "content", ["", "12345", "-5\n", "0x10\n", "1.5\n", "garbage\n", "1\n2\n", f"{RANGE_UJ + 1}\n"]
)
def test_a_bad_file_is_a_failed_reading(tree: PowercapDouble, content: str) -> None:
    """Empty, cut off before its newline, no number, beyond the range: never a value, and the next good read goes on."""
    source, channels = _open(tree)
    kept = (tree.root / "intel-rapl:0" / "energy_uj").read_text()
    tree.put("intel-rapl:0", content)
    (bad, memory) = source.read(channels)
    assert bad.status is Status.FAILED and math.isnan(bad.value)
    assert memory.status is Status.OK
    tree.put("intel-rapl:0", kept)
    tree.sleep(1.0)
    assert _joules(source, channels)["package"] == 100.0


def test_permission_lost_for_a_while_loses_no_joule(tree: PowercapDouble) -> None:
    """Reads fail while it lasts; the next one that succeeds has all that was used meanwhile, a wrap included."""
    tree.put("intel-rapl:0", f"{RANGE_UJ - 200_000_000}\n")
    source, channels = _open(tree)
    tree.denied.add("intel-rapl:0")
    for _ in range(5):
        tree.sleep(1.0)
        assert [reading.status for reading in source.read(channels)] == [Status.FAILED, Status.OK]
    tree.denied.clear()
    assert _joules(source, channels) == {"package": 500.0, "dram": 50.0}


def test_counters_that_come_back_begin_anew(tree: PowercapDouble) -> None:
    """The kernel's module was loaded again: what a later read shows is less than before, which readers see as a reset."""
    source, channels = _open(tree)
    tree.sleep(20.0)
    before_j = _joules(source, channels)["package"]
    (tree.root / "intel-rapl:0" / "energy_uj").rename(tree.root / "intel-rapl:0" / "gone")
    assert source.read(channels[:1])[0].status is Status.DEVICE_LOST
    tree.put("intel-rapl:0", "1000\n")
    tree.sleep(0.02)
    (reading,) = source.read(channels[:1])
    assert reading.status is Status.OK and reading.value < before_j / 100


@pytest.mark.parametrize("domain", ["package", "dram"])
def test_several_packages_that_wrap_within_a_trial(tree: PowercapDouble, domain: str) -> None:
    """A minute of two packages with memory, whose counters wrap at different instants, gives the true joules."""
    tree.add("intel-rapl:2", "package-1", uj=RANGE_UJ - 2_000_000_000, power_w=213.7)
    tree.add("intel-rapl:2:0", "dram", uj=RANGE_UJ - 31_000_000, power_w=7.3)
    tree.put("intel-rapl:0", f"{RANGE_UJ - 900_000_000}\n")
    tree.put("intel-rapl:0:2", f"{RANGE_UJ - 450_000_000}\n")
    source, channels = _open(tree)
    begin_ns = tree.now_ns()
    found: list[Reading] = []
    while tree.now_ns() < begin_ns + 60 * NS_PER_S:
        tree.sleep(0.5)
        found += [reading for reading in source.read(channels) if channels[reading.channel].domain == domain]
    watts = {"package": 313.7, "dram": 17.3}[domain]
    assert [reading.status for reading in found] == [Status.OK] * 120
    assert [reading.value for reading in found] == pytest.approx(
        [watts * 0.5 * (place + 1) for place in range(120)], rel=1e-6
    )


def test_a_zone_that_goes_away_is_a_lost_device(tree: PowercapDouble) -> None:
    """Unloading the kernel's module takes the files away."""
    source, channels = _open(tree)
    (tree.root / "intel-rapl:0" / "energy_uj").unlink()
    assert [reading.status for reading in source.read(channels)] == [Status.DEVICE_LOST, Status.OK]


def test_permission_that_is_taken_away_is_a_failed_reading(tree: PowercapDouble) -> None:
    """What could be read at first and is refused later fails, and says nothing about joules."""
    source, channels = _open(tree)
    tree.denied.add("intel-rapl:0")
    assert [reading.status for reading in source.read(channels)] == [Status.FAILED, Status.OK]


def test_a_package_that_stands_still_is_no_counter(tree: PowercapDouble) -> None:
    """A hypervisor may show a zero that never moves: no source then, and never 0 J."""
    tree.add("intel-rapl:2", "package-1", power_w=0.0)
    assert _unavailable(tree).reason == "the energy counter of package-1 stands still"


def test_memory_that_stands_still_is_not_read(tree: PowercapDouble) -> None:
    """The package is good without it."""
    tree.power_w["intel-rapl:0:2"] = 0.0
    _, channels = _open(tree)
    assert [channel.domain for channel in channels] == ["package"]


def test_a_counter_that_stops_within_a_run_fails(tree: PowercapDouble) -> None:
    """One package that no longer counts would hide behind the other's joules."""
    tree.add("intel-rapl:2", "package-1", power_w=50.0)
    source, channels = _open(tree)
    tree.power_w["intel-rapl:2"] = 0.0
    statuses = []
    for _ in range(60):
        tree.sleep(0.05)
        statuses.append(source.read(channels[:1])[0].status)
    assert statuses[:38] == [Status.OK] * 38
    assert statuses[-19:] == [Status.FAILED] * 19


def test_root_only_says_which_command_helps(tree: PowercapDouble) -> None:
    """The way the kernel ships it: the file is there, and not for everybody."""
    tree.denied.add("intel-rapl:0")
    found = _unavailable(tree)
    assert found.reason.endswith("is readable by root only")
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/*energy*_uj" in found.remedy


def test_the_command_of_the_remedy_reaches_every_file_that_is_read(tree: PowercapDouble) -> None:
    """Its pattern names the counts and the ranges of packages and memory."""
    reached = set(tree.root.glob("intel-rapl:*/*energy*_uj"))
    for folder in ("intel-rapl:0", "intel-rapl:0:2"):
        assert {tree.root / folder / "energy_uj", tree.root / folder / "max_energy_range_uj"} <= reached


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    """No tree at all, as on a virtual machine; or a tree without a package."""
    empty = PowercapDouble(tmp_path / "powercap")
    assert "no processor package" in _unavailable(empty).reason
    empty.add("intel-rapl:0", "psys")
    assert "no processor package" in _unavailable(empty).reason


def test_a_masked_tree_says_what_masks_it(tree: PowercapDouble) -> None:
    """In a container the links are there and lead nowhere."""
    (tree.root / "intel-rapl:3").symlink_to(tree.root / "gone")
    found = _unavailable(tree)
    assert "names what is not there" in found.reason and "container" in found.remedy


@pytest.mark.parametrize("content", ["0\n", "", "many\n"])
def test_a_counter_of_unknown_range_is_not_used(tree: PowercapDouble, content: str) -> None:
    """Without the range a wrap could not be counted."""
    (tree.root / "intel-rapl:0" / "max_energy_range_uj").write_text(content)
    assert "max_energy_range_uj" in _unavailable(tree).reason


def test_garbage_at_the_start_is_a_reason(tree: PowercapDouble) -> None:
    """A tree that cannot be understood is not half used."""
    tree.put("intel-rapl:0", "garbage\n")
    assert "holds no number" in _unavailable(tree).reason


def test_auto_takes_the_counters_and_leaves_the_model_out(tree: PowercapDouble) -> None:
    """Package and memory are metered, so that nothing is estimated."""
    around = Surroundings(tree, "a CPU", 8)

    def load(name: str) -> OpenSource:
        def open_rapl(around: Surroundings) -> EnergySource:
            return RaplSource(around, tree.root, tree.read)

        return open_rapl if name == "rapl" else estimate.open_source

    selection = select(("auto",), around, known=("rapl", "estimate"), load=load)
    selection.close()
    assert [(channel.source, channel.domain) for channel in selection.channels] == [
        ("rapl", "package"),
        ("rapl", "dram"),
    ]
    assert selection.verdicts[0].reason == "a CPU (package), a CPU (dram): energy counter"


@pytest.mark.parametrize("length_s", [1.0, 10.0])
def test_the_energy_of_a_cpu_is_that_of_package_and_memory(tree: PowercapDouble, length_s: float) -> None:
    """A trial that worked on ``cpu`` has both domains in its total, and wraps within the window do not show."""
    tree.put("intel-rapl:0", f"{RANGE_UJ - 20_000_000}\n")
    source, channels = _open(tree)
    begin_ns = tree.now_ns() + NS_PER_S
    readings: list[Reading] = []
    while tree.now_ns() < begin_ns + s_to_ns(length_s + 1):
        readings += source.read(channels)
        tree.sleep(1 / channels[0].rate_hz)
    readout = Readout(tuple(channels), (), Readings.of(readings), ("cpu",))
    found = energy_of_window(readout, Interval(begin_ns, begin_ns + s_to_ns(length_s)))
    assert found.total_j.value == pytest.approx(110.0 * length_s, rel=1e-3)
    assert found.scope == "dram + package, metered"
    assert found.total_j.estimated is False


def test_this_machine_is_read_or_its_reason_given() -> None:
    """On any machine: good readings, or a reason why not; never an exception."""
    source = open_source(Surroundings(MonotonicClock(), "this CPU", 1))
    found = source.channels()
    if isinstance(found, Unavailable):
        assert found.reason
        return
    assert [reading.status for reading in source.read(found)] == [Status.OK] * len(found)
