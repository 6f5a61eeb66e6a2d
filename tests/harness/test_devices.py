"""The harness on the device that is there: a CPU, alone and as two processes."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from data.catalogue import load_catalogue
from profiler.harness.attention import AttentionPath
from profiler.harness.build import check_shared
from profiler.harness.choose import fastest
from profiler.harness.clocks import HostStopWatch
from profiler.harness.communicator import Alone
from profiler.harness.execution import Execution, pieces_of
from profiler.harness.gauges import NoGauges, NvmlGauges, Reading, idle_power_w
from profiler.harness.measure import Bench
from profiler.harness.memory import largest_batches, model_memory
from profiler.harness.opening import open_run
from profiler.harness.parallel import free_address
from profiler.harness.precision import WeightFormat
from profiler.harness.provenance import code_hash
from profiler.harness.run import HarnessRun, Ports, time_model
from profiler.harness.scaling import scaled
from profiler.harness.settings import CacheLayout, HarnessSettings
from profiler.harness.shape import ExpertShape, Shape, UnbuildableError, shape_of
from profiler.iterations import fit_iterations
from stoker.domain.timing import CaseStatus, IterationCase, IterationKind
from tests.support.cli import ROOT
from tests.support.harness_benches import FakeClock, SlowedModel, slowed
from tests.support.harness_models import (
    CPU,
    SMALL,
    WITH_EXPERTS,
    cache_of,
    prompt_of,
    random_tokens,
    settings,
    small_model,
)
from tests.support.parallel_logits import SHAPES, logits_of


def timed(
    path: Path,
    how: HarnessSettings,
    *,
    budget_s: float = 1e-3,
    wrap: Callable[[Bench], Bench] = lambda bench: bench,
    clock: Callable[[], float] = time.perf_counter,
) -> HarnessRun:
    return time_model(how, path / "j", budget_s, "", lambda _: None, Ports(clock, wrap=wrap))


def planted(case: IterationCase, count: int) -> float:
    computed = case.decode_batch + case.prefill_tokens
    read = case.decode_batch * case.context_tokens
    read += case.prefill_tokens + case.prefix_tokens if case.prefill_tokens else 0
    return 2.0 + 0.05 * computed + 2e-4 * read


def test_a_slowdown_planted_into_a_real_model_is_recovered(tmp_path: Path) -> None:
    clock, planted_into = FakeClock(), list[SlowedModel]()

    def wrap(bench: Bench) -> Bench:
        planted_into.append(slowed(bench, planted, clock.pass_ms))
        return bench

    run = timed(tmp_path, settings(), wrap=wrap, clock=clock, budget_s=1.0)
    [fit] = fit_iterations(run.run.timings, ["token-work"])
    assert list(fit.values.values()) == pytest.approx((2.0, 0.05, 2e-4), rel=0.02)
    assert planted_into[0].steps >= 9 * len(run.run.timings)
    assert {timing.status for timing in run.run.timings} == {CaseStatus.OK}


def test_a_run_tells_what_ran_and_what_it_takes(tmp_path: Path) -> None:
    how = settings(counts=(1, 2), attention=None, layout=CacheLayout.PAGED)
    result = timed(tmp_path, how)
    run = result.run
    assert run.model.layers_timed == (1, 2)
    assert not run.model.whole
    assert (run.model.cache, run.model.execution) == ("paged", "eager")
    assert run.model.attention
    assert run.code == code_hash()
    assert run.device.name
    assert "torch" in run.device.runtime
    assert {timing.case.kind for timing in run.timings} == set(IterationKind)
    # 4 bytes of each weight: three layers, two embeddings, norms, rotation.
    of_layer = (4 + 2 + 2 + 4) * 16 * 64 + 3 * 64 * 96 + 2 * 64
    rotation = 2 * 256 * 16
    assert run.memory.weight_bytes == 4 * (3 * of_layer + 2 * 128 * 64 + 64 + rotation)
    assert run.memory.kv_bytes_per_token == 3 * 2 * 2 * 16 * 4
    assert dict(run.memory.largest_batches)[16] == 8
    assert result.kv_tokens == (1 << 20) // run.memory.kv_bytes_per_token


def test_memory_bounds_the_cases(tmp_path: Path) -> None:
    of_token = 3 * 2 * 2 * 16 * 4
    run = timed(tmp_path, settings(kv_limit_bytes=300 * of_token)).run
    assert max(batch * (context + 1) for context, batch in run.memory.largest_batches) <= 300
    assert dict(run.memory.largest_batches)[127] == 2
    assert largest_batches(run.timings) == run.memory.largest_batches


def test_packed_weights_scale_up_as_they_are_stored() -> None:
    dtype = torch.bfloat16
    sizes = {}
    for weights in (WeightFormat.BF16, WeightFormat.INT8, WeightFormat.INT4):
        model = small_model(SMALL.with_layers(2), weights=weights, dtype=dtype)
        sizes[weights] = model_memory(model, SMALL, 80, dtype).weight_bytes
        whole = small_model(SMALL.with_layers(5), weights=weights, dtype=dtype)
        told = model_memory(model, SMALL, 5, dtype)
        assert told.weight_bytes == model_memory(whole, SMALL, 5, dtype).weight_bytes
    assert sizes[WeightFormat.INT8] < 0.6 * sizes[WeightFormat.BF16]
    assert sizes[WeightFormat.INT4] < 0.4 * sizes[WeightFormat.BF16]


class CountedWork(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A clock that counts what torch computes: a millisecond for a million values touched."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        touched = sum(each.numel() for each in (*args, answer) if isinstance(each, torch.Tensor))
        self.seconds += 1e-6 + 1e-9 * touched
        return answer


@pytest.mark.parametrize("shape", [SMALL, WITH_EXPERTS], ids=["dense", "experts"])
def test_scaled_up_times_are_those_of_the_whole(shape: Shape) -> None:
    """A case that fits both ways, on a clock that counts the work of the real model."""
    layers = 12
    cases = (IterationCase(0, 0, 4, 50), IterationCase(64, 32, 0, 0), IterationCase(32, 0, 4, 20))
    times = {}
    for counts in ((2, 4), (layers,)):
        whole = shape.with_layers(layers)
        how = settings(shape=whole, counts=counts, kv_limit_bytes=4 << 20)
        opened = open_run(how, CPU, Alone(), NoGauges())
        for case in cases:
            series = []
            for run in opened.bench.runs(case):
                run()
                with CountedWork() as work:
                    series.append(HostStopWatch(work.clock).time_ms(run))
            times[case, counts] = scaled(counts, series, layers)
    for case in cases:
        assert times[case, (2, 4)] == pytest.approx(times[case, (layers,)], rel=0.02)


# torch's own compiler imports parts of torch that warn of their age.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_pieces_compute_the_same_and_are_compiled_once() -> None:
    torch._dynamo.reset()
    plain = small_model()
    compiled = small_model(pieces=pieces_of(Execution.COMPILE, backend="aot_eager"))
    window = cache_of(SMALL, "contiguous", torch.float32).window(0, 1, 64)
    for tokens in (12, 30, 7):
        text = prompt_of(window, 0, random_tokens(tokens))
        torch.testing.assert_close(compiled(text), plain(text), rtol=1e-4, atol=1e-4)
    frames = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert frames <= 2 * 2  # two pieces, for any layer and any number of tokens


def test_the_fastest_right_kernel_is_taken() -> None:
    chosen = fastest(SMALL, torch.float32, CPU, HostStopWatch(), tokens=64)
    names = {path.value for path in AttentionPath}
    assert set(chosen.name.replace(",", "").split()) - {"decode", "prompt"} <= names
    assert "cudnn" not in chosen.name

    class Fastest:
        """Times that favour the kernels tried first, whatever they take."""

        def __init__(self) -> None:
            self.calls = 0

        def time_ms(self, run: Callable[[], object]) -> float:
            run()
            self.calls += 1
            return float(self.calls)

    assert fastest(SMALL, torch.float32, CPU, Fastest(), tokens=64).name == "flash"


@pytest.mark.timeout(400)
def test_devices_that_share_a_model_compute_what_one_does(tmp_path: Path) -> None:
    address = free_address()
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.support.parallel_logits"]
    others = [
        subprocess.Popen([*command, str(rank), "2", address, str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    try:
        assert [other.wait(300) for other in others] == [0, 0]
    finally:
        for other in others:
            other.kill()
            other.wait()
    for name in SHAPES:
        whole = logits_of(name, None)
        for rank in range(2):
            part = torch.load(tmp_path / f"{name}-{rank}.pt")
            torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-4)


def test_devices_that_cannot_share_a_model_are_told_why() -> None:
    with pytest.raises(UnbuildableError, match="3 devices do not share 4 query heads evenly"):
        check_shared(SMALL, 3)
    check_shared(SMALL, 4)  # two KV heads, each on two devices


class NoSuchGaugeError(Exception):
    pass


def pretended_nvml(**gauges: Any) -> Any:
    def missing(*_: Any) -> float:
        raise NoSuchGaugeError("not supported")

    return SimpleNamespace(
        NVMLError=NoSuchGaugeError,
        NVML_CLOCK_SM=1,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlSystemGetDriverVersion=lambda: b"570.1",
        nvmlDeviceGetHandleByIndex=lambda index: f"index {index}",
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetClockInfo=gauges.get("clock", missing),
        nvmlDeviceGetTemperature=gauges.get("temperature", missing),
        nvmlDeviceGetPowerUsage=gauges.get("power", missing),
    )


def test_gauges_are_read_one_by_one() -> None:
    seen: list[object] = []

    def power(handle: object) -> int:
        seen.append(handle)
        return 312_500

    gauges = NvmlGauges(pretended_nvml(power=power, clock=lambda *_: 1980), "GPU-1", 3)
    assert gauges.driver == "570.1"
    assert gauges.read() == Reading(1980.0, None, 312.5)
    assert seen == [b"GPU-1"]
    NvmlGauges(pretended_nvml(power=power), None, 3).read()
    assert seen[-1] == "index 3"
    assert idle_power_w(gauges, lambda _: None) == 312.5
    assert idle_power_w(NoGauges(), lambda _: None) is None


def test_models_of_the_catalogue_are_built_or_told_why_not() -> None:
    catalogue = load_catalogue()
    shape = shape_of(catalogue.model("Llama-3.1-8B"))
    assert (shape.layers, shape.hidden_size, shape.group) == (32, 4096, 4)
    mixed = shape_of(catalogue.model("Qwen3-30B-A3B"))
    assert mixed.experts is not None
    assert mixed.experts.experts == 128
    for name, why in (("DeepSeek-V3", "latent attention"), ("gpt-oss-120b", "window of 128")):
        with pytest.raises(UnbuildableError, match=why):
            shape_of(catalogue.model(name))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"kv_heads": 3}, "do not share 3 KV heads"),
        ({"head_size": 15}, "even numbers"),
        ({"intermediate_size": 0}, "intermediate_size is missing"),
        ({"experts": ExpertShape(4, 5, 8)}, "visits 5 experts"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused(changed: dict[str, Any], why: str) -> None:
    values: dict[str, Any] = {
        "name": "x", "layers": 2, "hidden_size": 8, "query_heads": 4, "kv_heads": 2,
        "head_size": 16, "intermediate_size": 8, "vocabulary_size": 8, "max_context_tokens": 8,
    }  # fmt: skip
    with pytest.raises(UnbuildableError, match=why):
        Shape(**values | changed)


@pytest.mark.timeout(400)
def test_two_processes_time_a_model_together(tmp_path: Path) -> None:
    """Through the whole of a run; the driver of the others is this process."""
    script = tmp_path / "run.py"
    script.write_text(
        "import time\n"
        "from pathlib import Path\n"
        "from profiler.harness.run import Ports, time_model\n"
        "from tests.support.harness_models import settings\n"
        "if __name__ == '__main__':\n"
        "    how = settings(tensor_parallel=2, max_batch=1, max_context=8, max_prefill=2)\n"
        f"    path = Path({str(tmp_path / 'j')!r})\n"
        "    run = time_model(how, path, 1e-3, '', lambda _: None, Ports(time.perf_counter))\n"
        "    statuses = {timing.status.value for timing in run.run.timings}\n"
        "    print(run.run.model.tensor_parallel, run.run.device.count, *statuses)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split() == ["2", "2", "ok"], done.stderr
