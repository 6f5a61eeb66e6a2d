"""`stoker estimate`."""

import json
from pathlib import Path

import pytest
import yaml

from data.fleets import read_fleet
from stoker.domain.profile import EstimateKind
from tests.support.cli import stoker

FLEET = """\
version: 1
currency: USD
accelerators:
  - {name: H100-SXM-80GB, cost_per_hour: 2.5, memory_gb: 80}
capacity: {H100-SXM-80GB: 64}
service_classes:
  - name: chat
    priority: 1
    targets: [{model: Llama-3.1-70B, ttft_ms: 2000, itl_ms: 60}]
servers:
  - name: chat
    service_class: chat
    model: Llama-3.1-70B
    load: {arrival_rate_rps: 2, input_tokens: 1024, output_tokens: 256}
"""


def test_the_table_says_that_it_is_an_estimate() -> None:
    result = stoker("estimate", "Llama-3.1-8B", "H100")
    assert result.exit_code == 0
    assert result.stdout.startswith("Estimate, not measured: Llama-3.1-8B on 1 × H100-SXM-80GB")
    for words in ("KV tokens that fit", "Decode iteration", "Prefill iteration", "alpha", "Bound"):
        assert words in result.stdout


def test_json_has_every_figure() -> None:
    result = stoker("estimate", "llama-3.1-8b", "h100", "--format", "json", "--input-tokens", 512)
    document = json.loads(result.stdout)
    assert document["kind"] == "estimated"
    assert document["fits"] is True
    assert document["tensor_parallel"] == 1
    assert document["largest_batch"] == document["memory"]["kv_tokens"] // (512 + 256)
    assert {point["bound"] for point in document["decode"]} <= {
        "bandwidth",
        "compute",
        "interconnect",
        "overhead",
    }
    assert document["profile"]["provenance"]["kind"] == "estimated"
    assert document["profile_deviation"]["median"] < document["profile_deviation"]["largest"]


def test_a_fleet_with_the_profile_pasted_in_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    section = stoker("estimate", "Llama-3.1-70B", "H100", "--format", "yaml").stdout
    path.write_text(FLEET + section)
    (profile,) = read_fleet(str(path)).profiles
    assert profile.provenance.kind is EstimateKind.ESTIMATED
    assert profile.accelerators_per_replica == 2
    plan = json.loads(stoker("solve", path, "--format", "json").stdout)
    (allocation,) = plan["allocations"].values()
    assert allocation["accelerator"] == "H100-SXM-80GB"
    assert allocation["replicas"] >= 1
    assert allocation["estimate"] == "estimated"


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    for name in ("table", "json", "yaml"):
        path = tmp_path / name
        result = stoker("estimate", "Qwen3-8B", "L40S", "--format", name, "--output", path)
        assert (result.exit_code, result.stdout) == (0, "")
        assert path.read_text() == stoker("estimate", "Qwen3-8B", "L40S", "--format", name).stdout
    assert yaml.safe_load((tmp_path / "yaml").read_text())["profiles"][0]["model"] == "Qwen3-8B"


@pytest.mark.parametrize("name", ["table", "json", "yaml"])
def test_what_does_not_fit_is_an_answer(name: str) -> None:
    result = stoker("estimate", "Llama-3.1-70B", "H100", "--tensor-parallel", 1, "--format", name)
    assert result.exit_code == 3
    assert "the fewest that hold it: --tensor-parallel 2" in result.stderr
    if name == "json":
        document = json.loads(result.stdout)
        assert (document["fits"], document["smallest_tensor_parallel"]) == (False, 2)
        assert document["profile"] is None
    if name == "yaml":
        assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Lama-3.1-8B", "H100"), "model 'Lama-3.1-8B' is not in the catalogue (nearest: Llama"),
        (("Llama-3.1-8B", "H1000"), "accelerator 'H1000' is not in the catalogue (nearest: H100"),
        (("Llama-3.1-8B", "H100", "--tensor-parallel", 3), "(allowed: 1, 2, 4, 8, 16, 32)"),
        (("BLOOM-176B", "H100", "--input-tokens", 4000), "up to 2048 in all"),
        (("Llama-3.1-8B", "H100", "--weights-dtype", "fp7"), "fp7"),
        (("Llama-3.1-8B", "H100", "--output-tokens", 0), "0 is not a whole number of 1 or more"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[object, ...], words: str) -> None:
    result = stoker("estimate", *arguments, columns=200)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert result.stdout == ""
