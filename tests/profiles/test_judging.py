"""What speaks against a profile, and whether two of them differ."""

from dataclasses import replace

import pytest

from data.catalogue import UnknownNameError, load_catalogue
from data.profile_document import (
    ProfileDocument,
    ProfileFit,
    TimedOn,
    curves_of,
)
from data.profiles import find_shipped, shipped_profiles
from profiler.judging import Finding, Severity, check_document, compare, usual_points
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec
from stoker.domain.curve import IterationTable
from stoker.domain.profile import (
    EstimateKind,
    LinearParameters,
    ModelProfile,
    Provenance,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.timing import TimingRun
from tests.support.timed_runs import timing_run

CATALOGUE = load_catalogue()
SOURCE = Provenance(EstimateKind.FITTED, "our own runs")
SOUND = TokenWorkParameters(6.0, 0.03, 5e-5)


def profile(
    parameters: ServiceParameters = SOUND,
    provenance: Provenance = SOURCE,
    accelerator: str = "H100",
    model: str = "Llama-3.1-8B",
) -> ModelProfile:
    return ModelProfile(model, accelerator, 1, 128, 256, parameters, provenance)


def model_named(name: str) -> ModelArchitecture | None:
    try:
        return CATALOGUE.model(name)
    except UnknownNameError:
        return None


def card_named(name: str) -> AcceleratorSpec | None:
    try:
        return CATALOGUE.accelerator(name)
    except UnknownNameError:
        return None


def check(document: ProfileDocument) -> list[Finding]:
    return list(check_document(document, model_named, card_named))


def errors(document: ProfileDocument) -> list[tuple[str, str]]:
    return [(item.rule, item.message) for item in check(document) if item.severity == "error"]


def test_a_sound_profile_has_nothing_against_it() -> None:
    assert check(ProfileDocument((profile(),))) == []


def test_all_shipped_profiles_are_sound() -> None:
    documents = {item.file: item.document for item in shipped_profiles()}
    for file, document in documents.items():
        assert errors(document) == [], file


@pytest.mark.parametrize(
    ("parameters", "rule", "words"),
    [
        (TokenWorkParameters(0.006, 3e-5, 5e-8), "units", "are times in seconds?"),
        (TokenWorkParameters(6e6, 3e4, 5e1), "units", "are times in microseconds?"),
        (TokenWorkParameters(6.0, 90.0, 5e-5), "units", "1,024 prompt tokens take"),
        (TokenWorkParameters(1.0, 0.03, 5e-5), "physical", "decoding 1 sequences"),
        (TokenWorkParameters(6.0, 0.001, 5e-5), "physical", "prompt tokens takes"),
        (LinearParameters(0.5, 0.01, 6.0, 0.03), "physical", "decoding 1 sequences"),
        (
            IterationTable((1.0, 8.0), (128.0,), ((7.0,), (6.5,)), (1.0,), (0.0,), ((90.0,),)),
            "monotone",
            "decode_ms falls from 7 to 6.5 ms between 1 and 8",
        ),
        (
            IterationTable(
                (1.0,), (128.0, 4096.0), ((7.0, 6.5),), (1.0,), (0.0, 9.0), ((90.0, 80.0),)
            ),
            "monotone",
            "prefill_ms falls from 90 to 80 ms between 0 and 9 tokens read",
        ),
    ],
)
def test_what_cannot_be_true_is_an_error(
    parameters: ServiceParameters, rule: str, words: str
) -> None:
    found = errors(ProfileDocument((profile(parameters),)))
    assert any(own == rule and words in message for own, message in found), found


def test_the_format_of_the_weights_decides_what_is_too_fast() -> None:
    fast = profile(TokenWorkParameters(3.0, 0.03, 5e-5))  # 16 GB take 4.8 ms to read, 8 GB 2.4 ms
    (finding,) = check(ProfileDocument((fast,)))
    assert (finding.severity, finding.rule) == (Severity.WARNING, "physical")
    for precision, wrong in (("bf16", True), ("fp8", False)):
        fit = ProfileFit("token-work", 0, deployment={"precision": precision})
        assert bool(errors(ProfileDocument((fast,), (fit,)))) is wrong


def test_what_the_catalogue_does_not_know_is_told() -> None:
    (finding,) = check(ProfileDocument((profile(accelerator="cpu"),)))
    assert (finding.severity, finding.rule) == (Severity.WARNING, "physical")
    assert "does not know cpu" in finding.message


def timed(run: TimingRun, provenance: Provenance) -> ProfileDocument:
    own = replace(profile(provenance=provenance), accelerator="H100")
    return ProfileDocument((own,), (), TimedOn.of(run), run.timings, curves_of(run.timings))


MEASURED = Provenance(EstimateKind.MEASURED, "the harness")


def test_measured_profiles_tell_on_what() -> None:
    assert errors(timed(timing_run(), MEASURED)) == []
    (bare,) = errors(ProfileDocument((profile(provenance=MEASURED),)))
    assert bare[0] == "kind"
    elsewhere = errors(timed(timing_run(accelerator="L4"), MEASURED))
    assert ("kind", "is of H100, but was timed on L4") in elsewhere
    empty = replace(timed(timing_run(), MEASURED), timings=())
    assert ("kind", "says measured, but the document holds no iteration that was timed") in errors(
        empty
    )
    scaled = [item.message for item in check(timed(timing_run(), MEASURED))]
    assert "8 and 16 of 32 layers were timed, and the whole is scaled up" in scaled


@pytest.mark.parametrize(
    ("provenance", "severity"),
    [
        (Provenance(EstimateKind.FITTED, ""), Severity.ERROR),
        (Provenance(EstimateKind.DECLARED, ""), Severity.WARNING),
    ],
)
def test_an_origin_that_is_not_told_is(provenance: Provenance, severity: Severity) -> None:
    (finding,) = check(ProfileDocument((profile(provenance=provenance),)))
    assert (finding.rule, finding.severity) == ("kind", severity)


def test_timed_iterations_are_held_against_the_roofline() -> None:
    found = errors(timed(timing_run(floor_ms=1.0), MEASURED))
    assert {rule for rule, _ in found} == {"physical"}
    assert "the roofline of H100-SXM-80GB" in found[0][1]


def test_times_that_fall_along_a_curve_are_told() -> None:
    document = timed(timing_run(), MEASURED)
    curve = document.curves[0]
    falling = replace(curve, median_ms=tuple(reversed(curve.median_ms)))
    found = [
        item for item in check(replace(document, curves=(falling,))) if item.rule == "monotone"
    ]
    assert [item.place for item in found] == ["curves[0]"]
    assert "at 8 of decode_batch" in found[0].message or "at 64 of decode_batch" in found[0].message


def test_fits_that_tell_little_are_told() -> None:
    loose = ProfileFit(
        "token-work",
        0,
        {"alpha_ms": 6.0, "beta_ms": 0.03, "gamma_ms": 5e-5},
        {"alpha_ms": (0.5, 70.0), "beta_ms": (0.029, 0.031), "gamma_ms": (4.9e-5, 5.1e-5)},
        condition_number=1e6,
    )
    refused = ProfileFit("linear", refusal="one shape alone")
    found = check(ProfileDocument((profile(),), (loose, refused)))
    assert all(item.severity is Severity.WARNING for item in found)
    words = " ".join(item.message for item in found)
    assert "condition number is 1e+06" in words
    assert "alpha_ms is 0.5 to 70" in words
    assert "beta_ms" not in words
    assert "one shape alone" in words
    outside = replace(loose, confidence={"alpha_ms": (7.0, 8.0)})
    assert errors(ProfileDocument((profile(),), (outside,)))[0][0] == "identifiable"
    planned = replace(refused, profile=0)
    assert errors(ProfileDocument((profile(),), (planned,))) == [
        ("identifiable", "linear: one shape alone")
    ]


def fit(share: float = 0.01, error: float = 0.02) -> ProfileFit:
    values = {"alpha_ms": 6.0, "beta_ms": 0.03, "gamma_ms": 5e-5}
    ends = {name: (value * (1 - share), value * (1 + share)) for name, value in values.items()}
    return ProfileFit(
        "token-work", 0, values, ends, errors={"ttft": error, "itl": error, "throughput": error}
    )


def test_a_profile_does_not_differ_from_itself() -> None:
    answer = compare(profile(), profile(), (fit(), fit()))
    assert answer.differs is False
    assert all(figure.ratio == 1 for _, figures in answer.points for figure in figures)
    assert [figure.beyond for figure in answer.parameters] == [False] * 3


def test_a_slower_one_differs_where_both_are_known_well() -> None:
    slower = profile(TokenWorkParameters(9.0, 0.045, 7.5e-5))
    sure = compare(profile(), slower, (fit(), fit()))
    assert sure.differs is True
    assert all(figure.beyond for figure in sure.parameters)
    itl = [figure for _, figures in sure.points for figure in figures if figure.name == "itl_ms"]
    assert all(figure.ratio == pytest.approx(1.5, rel=0.01) for figure in itl)
    unsure = compare(profile(), slower, (fit(0.5, 0.3), fit(0.5, 0.3)))
    assert unsure.differs is False
    unknown = compare(profile(), slower, (fit(), None))
    assert unknown.differs is None
    assert {figure.beyond for _, figures in unknown.points for figure in figures} == {None}


def test_points_are_those_that_both_reach() -> None:
    small = replace(profile(), max_batch=8, kv_tokens=3000)
    points = usual_points(profile(), small)
    assert {point.clients for point in points} == {1}
    tiny = replace(profile(), kv_tokens=100)
    assert len(usual_points(tiny, tiny)) == 1


def test_models_of_different_kinds_are_compared_by_what_they_predict() -> None:
    shipped = find_shipped("llama-3.1-8b/h100")
    answer = compare(shipped.profile, profile(), (shipped.fit, fit()))
    assert answer.parameters == ()
    assert all(figure.ratio for _, figures in answer.points for figure in figures)
