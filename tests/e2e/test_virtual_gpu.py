"""A real engine and a real model beside a virtual GPU, which any program takes for one of NVIDIA's."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from llenergymeasure.testing.mapped_backend import Script, write_script
from llenergymeasure.testing.virtual_gpu.device import VirtualGpu
from llenergymeasure.testing.virtual_gpu.native.driver import virtual_driver
from llenergymeasure.testing.virtual_gpu.presets import H100_SXM
from llenergymeasure.testing.virtual_gpu.workload import Workload

LLEM = [sys.executable, "-m", "llenergymeasure"]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="the library stands for a driver under Linux"),
]

STUDY = """
name: beside a virtual GPU
model: builtin:smollm2-135m
n: 2
max_input_tokens: 32
decoder: {max_new_tokens: 16}
warmup: {strategy: fixed, n_warmup: 8}
window: {min_seconds: 4}
baseline: {enabled: false}
execution: {n_cycles: 1}
backend: [mapped_llamacpp, llamacpp]
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """One idle board, which works when the mapped engine does."""
    folder = tmp_path_factory.mktemp("boards")
    begin_ns = time.monotonic_ns()
    idle = Workload.of(begin_ns, [H100_SXM.idle(1.0)], H100_SXM.thermal)
    gpu = VirtualGpu(H100_SXM, idle, H100_SXM.sensors())
    with virtual_driver([gpu], folder, begin_ns=begin_ns, horizon_s=300.0) as playing:
        write_script(folder, Script(gpu.uuid, work_w=250.0))
        yield playing


@pytest.fixture(scope="module")
def results(driver, tmp_path_factory):
    """Of each engine of one study: the result, and the marks that edge its window."""
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(STUDY)
    command = [*LLEM, "run", str(folder / "study.yaml"), "-o", str(folder / "results")]
    done = subprocess.run(command, env=driver.environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    for path in folder.rglob("result.json"):
        result, trace = (json.loads((path.parent / name).read_text()) for name in ("result.json", "trace.json"))
        window = [mark["t_ns"] for mark in trace["marks"] if mark["phase"] == "window"]
        found[result["config"]["backend"]] = result, window
    return found


def test_a_real_run_gives_the_joules_of_the_script(results, driver):
    """The energy of the window is what the board really used between its marks, within both stated intervals."""
    result, (begin_ns, end_ns) = results["mapped_llamacpp"]
    truth_j = driver.truth_j(0, begin_ns, end_ns)
    total = result["energy_total_j"]
    assert total["value"] == pytest.approx(truth_j, rel=0.05)
    for interval in ("repeatability_95", "absolute_95"):
        assert total[interval]["low"] <= truth_j <= total[interval]["high"]
    # Beyond its idle power the board drew what the script says for as long as the engine worked: nearly all of the window.
    drawn_w = driver.live[0].energy_j(end_ns) - driver.live[0].energy_j(begin_ns)
    assert 0.9 * 250 < drawn_w / ((end_ns - begin_ns) / 1e9) <= 250
    assert [part["device"] for part in result["energy"]["domains"]] == [driver.played.gpus[0].uuid]


def test_a_mapped_result_says_that_it_is_simulated(results):
    """The remark is there, and the engine's own tokens are counted all the same."""
    result, _ = results["mapped_llamacpp"]
    assert "simulated" in {remark["code"] for remark in result["validity"]["remarks"]}
    assert result["tokens"]["output_tokens"] >= 2 * 16


def test_a_gpu_that_did_not_work_is_a_bystander(results, driver):
    """The same engine without the mapping worked on the CPU: the board is listed beside it and never summed."""
    result, _ = results["llamacpp"]
    uuid = driver.played.gpus[0].uuid
    assert uuid in {part["device"] for part in result["energy"]["bystanders"]}
    assert {part["device"] for part in result["energy"]["domains"]} == {"cpu"}
    assert "gpu" not in result["energy_scope"]
    assert "simulated" not in {remark["code"] for remark in result["validity"]["remarks"]}
