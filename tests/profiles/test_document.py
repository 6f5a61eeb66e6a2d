"""Profile documents: what is written reads back the same, and what is wrong is told."""

import copy
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.decode import decode_json, decode_yaml
from data.fleets import read_fleet
from data.profile_document import (
    FitIntervals,
    ProfileDocument,
    ProfileFit,
    TimedOn,
    curves_of,
    document_text,
    entry_of_document,
    parse_profile_document,
    profile_document,
    profile_schema,
)
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError
from stoker.domain.profile import (
    EstimateKind,
    ModelProfile,
    OverlapParameters,
    Provenance,
    TokenWorkParameters,
)
from stoker.domain.serving import Parallelism
from tests.support.measured import measured_rows
from tests.support.timed_runs import timing_run

TABLE = IterationTable(
    (1.0, 64.0), (128.0,), ((6.0,), (8.25,)), (1.0, 512.0), (0.0,), ((6.0,), (16.1,)), 5.5
)


def profiles() -> tuple[ModelProfile, ...]:
    source = Provenance(EstimateKind.MEASURED, "torch harness, 2026-11-21")
    return (
        ModelProfile("m", "H100", 1, 256, 256, TokenWorkParameters(6.1, 0.1 / 3, 5e-5), source),
        ModelProfile("m", "4xH100", 1, 8, 9, TABLE, source, parallel=Parallelism(tensor=4)),
        ModelProfile(
            "m",
            "H100",
            2,
            64,
            256,
            OverlapParameters(2.5, 4.0, 0.02, 0.02, 4e-5, 1e-6, 1.0, 12.0),
            source,
            required_memory_gb=17.5,
            kv_tokens=400_000,
            token_budget=2048,
            configuration="tp2",
            parallel=Parallelism(tensor=2),
        ),
    )


def fits() -> tuple[ProfileFit, ...]:
    return (
        ProfileFit(
            "token-work",
            0,
            {"alpha_ms": 6.1, "beta_ms": 0.1 / 3},
            {"alpha_ms": (6.0, 6.2), "beta_ms": (0.033, 0.034)},
            17.25,
            9,
            {"decode": 0.01, "prefill": 0.0},
            {"decode": 0.02},
            {"model": "m", "n_gpus": 1},
        ),
        ProfileFit(
            "curve",
            1,
            table=TABLE,
            intervals=FitIntervals(
                (((5.9,), (8.0,)), ((6.1,), (8.5,))), (((5.9,), (16.0,)), ((6.1,), (16.2,)))
            ),
        ),
        ProfileFit("linear", refusal="one shape", untold=("delta_ms",), measure=("long prompts",)),
    )


def whole() -> ProfileDocument:
    run = timing_run()
    return ProfileDocument(
        profiles(),
        fits(),
        TimedOn.of(run),
        run.timings,
        curves_of(run.timings),
        tuple(replace(row, name=f"r{index}") for index, row in enumerate(measured_rows())),
        "a name",
        ("scaled up from 8 and 16 layers",),
    )


def reread(document: ProfileDocument, *, as_json: bool) -> ProfileDocument:
    text = document_text(entry_of_document(document), as_json=as_json)
    return parse_profile_document(decode_json(text) if as_json else decode_yaml(text))


@pytest.mark.parametrize("as_json", [True, False])
def test_a_document_reads_back_as_it_was_written(as_json: bool) -> None:
    document = whole()
    again = reread(document, as_json=as_json)
    assert again == document
    assert again.run == timing_run()


@given(st.floats(1e-3, 1e6), st.floats(0, 1e3), st.floats(1e-9, 1.0), st.integers(1, 10**6))
def test_no_digit_is_lost(alpha: float, beta: float, gamma: float, batch: int) -> None:
    profile = ModelProfile("m", "a", 1, batch, 1, TokenWorkParameters(alpha, beta, gamma))
    document = ProfileDocument((profile,))
    assert reread(document, as_json=False) == document
    assert reread(document, as_json=True) == document


def test_the_schema_allows_what_is_written_and_refuses_what_is_not() -> None:
    schema = profile_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    written = decode_json(document_text(entry_of_document(whole()), as_json=True)).value
    jsonschema.validate(written, schema)
    assert isinstance(written, dict)
    mistakes: tuple[dict[str, object], ...] = (
        {"version": 2},
        {"document": "fleet"},
        {"timing": []},
    )
    for wrong in mistakes:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(written | wrong, schema)


def test_curves_hold_every_case_that_ended_well_in_order() -> None:
    decodes = [curve for curve in curves_of(timing_run().timings) if curve.kind == "decode"]
    assert [(curve.context_tokens, curve.at) for curve in decodes] == [
        (128, (1, 8, 64)),
        (1024, (1, 8, 64)),
    ]
    first = decodes[0]
    assert first.tokens_per_s[0] == pytest.approx(1000 / first.median_ms[0])
    (prefill,) = [curve for curve in curves_of(timing_run().timings) if curve.kind == "prefill"]
    assert (prefill.over, prefill.at, prefill.prefix_tokens) == ("prefill_tokens", (512, 2048), 0)


def test_failed_cases_are_kept_with_their_reason() -> None:
    document = profile_document(profiles(), run=timing_run())
    timings = document["timings"]
    assert isinstance(timings, list)
    assert len(timings) == 10
    assert timings[-1]["status"] == "out-of-memory"
    assert timings[-1]["reason"] == "tried to allocate 16 GiB"


def entry() -> dict[str, object]:
    return copy.deepcopy(entry_of_document(whole()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 3}, "version: 3 is out of bounds"),
        ({"timing": []}, 'timing: unknown key; did you mean "timings"?'),
        ({"measured_on": None}, "timings: there is no word of what timed them"),
        ({"timings": [{"decode_batch": 1, "status": "ok"}]}, "timings[0].median_ms: is missing"),
        ({"timings": [{"decode_batch": 1, "status": "failed"}]}, "timings[0].reason: is missing"),
        ({"timings": [{"status": "ok", "median_ms": 1}]}, "timings[0]: computes nothing"),
        (
            {"timings": [{"decode_batch": 1, "status": "ok", "median_ms": 1, "outliers": [0]}]},
            "timings[0].outliers[0]: there is no sample 0",
        ),
        ({"fits": [{"model": "linear", "profile": 3}]}, "fits[0].profile: there is no profile 3"),
        ({"fits": [{"model": "cubic"}]}, 'fits[0].model: "cubic" is not one of the choices'),
        (
            {"fits": [{"model": "curve", "intervals": {"decode_ms": [], "prefill_ms": []}}]},
            "fits[0].intervals: there is no table",
        ),
        ({"rows": [{"model": "m"}]}, "rows[0].gpu: is missing"),
        (
            {"curves": [{"kind": "decode", "over": "decode_batch", "at": [1]}]},
            "curves[0].median_ms: is missing",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_profile_document(decode_json(document_text(entry() | change, as_json=True)), "p.json")
    lines = [str(problem) for problem in caught.value.problems]
    assert any(line.startswith(f"p.json: {told}") for line in lines), lines


def test_the_same_profile_twice_and_one_of_zeros_are_refused() -> None:
    document = entry()
    listed = document["profiles"]
    assert isinstance(listed, list)
    with pytest.raises(InvalidInputError, match=r"profiles\[3\]"):
        parse_profile_document(
            decode_json(document_text(document | {"profiles": [*listed, listed[0]]}, as_json=True))
        )
    zeros = {"kind": "token-work", "alpha_ms": 0, "beta_ms": 0, "gamma_ms": 0}
    with pytest.raises(InvalidInputError, match="every time is zero"):
        parse_profile_document(
            decode_json(
                document_text(
                    document | {"fits": [], "profiles": [listed[0] | {"parameters": zeros}]},
                    as_json=True,
                )
            )
        )


FLEET = """\
version: 1
currency: USD
accelerators:
- {name: H100, cost_per_hour: 2.5}
capacity: {H100: 8}
service_classes:
- {name: c, priority: 1, targets: [{model: m, itl_ms: 50}]}
servers:
- {name: s, service_class: c, model: m,
   load: {arrival_rate_rps: 1, input_tokens: 100, output_tokens: 100}}
"""


def test_a_profile_document_stands_in_the_directory_of_a_fleet(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    document = profile_document(profiles()[:1], run=timing_run(), fits=fits()[:1])
    (tmp_path / "profile.yaml").write_text(document_text(document))
    assert read_fleet(tmp_path).profiles == profiles()[:1]


def test_a_profile_document_is_no_fleet(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(document_text(profile_document(profiles())))
    with pytest.raises(InvalidInputError, match="holds profiles alone"):
        read_fleet(path)
