"""`stoker profile run` on the CPU: to a plan, through a kill, and when something is wrong."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.profile_document import read_profile_document
from profiler.harness.cases import Limits, first_cases
from stoker.cli.profile_run_bar import words_of
from stoker.cli.profile_run_settings import seconds
from stoker.domain.errors import InvalidInputError
from stoker.domain.profile import EstimateKind
from stoker.domain.timing import CaseStatus, IterationKind
from tests.support.cli import ROOT, stoker, stoker_process

FLEET = """\
version: 1
currency: USD
accelerators:
- {name: CPU, cost_per_hour: 0.1}
capacity: {CPU: 64}
service_classes:
- {name: any, priority: 1, targets: [{model: tiny, itl_ms: 2000, ttft_ms: 20000}]}
servers:
- name: chat
  service_class: any
  model: tiny
  load: {arrival_rate_rps: 0.5, input_tokens: 30, output_tokens: 20}
"""

DIMENSIONS = (
    "layers=2,hidden=32,query-heads=2,kv-heads=1,head-size=16,intermediate=32,vocabulary=64,"
    "context=64"
)
SMALLEST = (
    "profile", "run", "small", "--dimensions", DIMENSIONS, "--device", "cpu",
    "--max-batch", "4", "--max-context", "48", "--max-prefill", "32",
)  # fmt: skip


# Real processes that import torch: a busy machine takes its time.
@pytest.mark.timeout(600)
def test_from_the_machine_to_a_plan(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "fleet.yaml").write_text(FLEET)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    python = f"{sys.executable} -m stoker.cli.main"
    line = (
        f"{python} profile run tiny --device cpu --budget 3s --max-batch 4 --max-context 64"
        " --max-prefill 64 --output fleet/tiny.yaml --plots plots"
        f" && {python} solve fleet --minimum-kind measured --format json"
    )
    done = subprocess.run(
        line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout[done.stdout.index("\n{") :])
    assert [each["accelerator"] for each in plan["allocations"].values()] == ["CPU"]
    document = read_profile_document(tmp_path / "fleet" / "tiny.yaml")
    [profile] = document.profiles
    assert profile.provenance.kind is EstimateKind.MEASURED
    assert "without the overheads of an engine" in profile.provenance.source
    assert {fit.model for fit in document.fits} == {"linear", "token-work", "overlap", "curve"}
    assert sum(fit.profile == 0 for fit in document.fits) == 1
    assert {timing.case.kind for timing in document.timings} == set(IterationKind)
    assert document.run is not None
    assert document.run.model.whole
    pictures = {path.name for path in (tmp_path / "plots").iterdir()}
    names = ("decode-time", "throughput", "prefill-time", "residuals", "roofline")
    assert pictures == {f"{name}.png" for name in names}


@pytest.mark.timeout(600)
def test_a_killed_run_goes_on_without_loss_or_repetition(tmp_path: Path) -> None:
    output, journal = tmp_path / "p.json", tmp_path / "p.json.journal"
    command = (*SMALLEST, "--budget", "0.1s", "--tolerance", "10", "--output", str(output))
    dice = random.Random(os.urandom(8))
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker.cli.main", *command],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    size, deadline = dice.randint(1, 9000), time.monotonic() + 250
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.stat().st_size >= size:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    _, complaint = process.communicate()
    assert journal.exists(), complaint
    before = [line for line in journal.read_bytes().splitlines(keepends=True) if b"result" in line]
    done = stoker_process(*command, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = journal.read_bytes().splitlines(keepends=True)
    results = [json.loads(line)["result"] for line in lines if b'"result"' in line]
    names = ("prefill_tokens", "prefix_tokens", "decode_batch", "context_tokens")
    cases = [tuple(result[name] for name in names) for result in results]
    assert len(cases) == len(set(cases))
    # What stood there whole stands there still, and every case of a run that was let alone.
    assert set(before) - {before[-1] if before else b""} <= set(lines)
    timings = read_profile_document(output).timings
    wanted = first_cases(Limits(4, 48, 32, kv_tokens=4 * 49 + 32), seed=0)
    assert {timing.case for timing in timings} == set(wanted)
    assert len(timings) == len(cases)


def test_options_reach_the_profile(tmp_path: Path) -> None:
    output = tmp_path / "p.json"
    done = stoker(
        *SMALLEST, "--budget", "0.1s", "--tolerance", "10", "--dtype", "bf16", "--weights", "int8",
        "--cache", "paged", "--attention", "math", "--layers", "1,2", "--accelerator", "laptop",
        "--output", output, "--format", "json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    document = read_profile_document(output)
    assert document.run is not None
    model = document.run.model
    assert (model.precision, model.weight_precision) == ("bf16", "int8")
    assert (model.cache, model.attention, model.layers_timed) == ("paged", "math", (1, 2))
    assert json.loads(done.stdout)["profiles"][0]["accelerator"] == "laptop"
    assert any("scaled up to 2 layers from 1, 2" in note for note in document.notes)
    assert all(timing.status is not CaseStatus.OUT_OF_MEMORY for timing in document.timings)
    again = stoker(*SMALLEST, "--budget", "0.1s", "--output", output)
    assert again.exit_code == 2
    assert "is the journal of another run" in again.stderr
    assert "--restart" in again.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nothing-like-it"], "is not in the catalogue"),
        (["DeepSeek-V3"], "latent attention"),
        (["tiny", "--budget", "soon"], "'soon' is not a time"),
        (["tiny", "--device", "cuda"], "0 are there"),
        (["tiny", "--layers", "4,2"], "two or more numbers from 1 to 4"),
        (["tiny", "--layers", "2"], "two or more numbers from 1 to 4"),
        (["tiny", "--weights", "fp16"], "weights in fp16 go with activations in fp16"),
        (["tiny", "--execution", "cuda-graph", "--device", "cpu"], "is for GPUs"),
        (["tiny", "--device", "cpu", "--tensor-parallel", "3"], "do not share 8 query heads"),
        (["x", "--dimensions", "layers=2,depth=3"], "'depth' is unknown"),
        (["x", "--dimensions", "layers=two"], "layers is 'two'"),
        (["x", "--dimensions", "layers=2"], "hidden, query-heads"),
        (["x", "--dimensions", DIMENSIONS.replace("16", "15")], "head_size is 15"),
        (["tiny", "--output", "missing/p.yaml"], "is not an existing directory"),
    ],
)
def test_what_cannot_be_timed_is_told(options: list[str], words: str) -> None:
    done = stoker("profile", "run", *options, columns=400)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_torch_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['stoker', 'profile', 'run', 'tiny']; "
        "from stoker.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'stoker[profile]'" in done.stderr


def test_times_are_read_in_their_units() -> None:
    assert [seconds(text) for text in ("300s", "10m", "1.5h", "20", "2 min")] == [
        300.0,
        600.0,
        5400.0,
        20.0,
        120.0,
    ]
    for text in ("", "s", "-3s", "0s", "3 days", "nan"):
        with pytest.raises(InvalidInputError):
            seconds(text)


def test_the_bar_tells_what_is_left() -> None:
    from profiler.harness.session import Progress

    assert words_of(Progress(14, 175.0, 300.0, 0.031, None)) == (
        "14 cases, 2:05 left, least known ±3.1%"
    )
    assert words_of(Progress(1, 301.0, 300.0, None, None)) == "1 case, 0:00 left"
