"""Profiles that come with Stoker: what they are, and fleets that name them."""

from dataclasses import replace

import jsonschema
import pytest

from data.catalogue import load_catalogue
from data.decode import decode_yaml
from data.fleets import parse_fleet
from data.given_profiles import with_profiles
from data.profiles import find_shipped, shipped_profiles
from data.stoker_format import fleet_schema
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.profile import EstimateKind

SHIPPED = shipped_profiles()
CATALOGUE = load_catalogue()

FLEET = """\
version: 1
currency: USD
accelerators:
- {name: h100-box, card_type: H100, cards: 2, cost_per_hour: 5}
- {name: H100, cost_per_hour: 2.5, memory_gb: 80}
- {name: L40S, cost_per_hour: 0.9}
capacity: {H100: 8, L40S: 8}
profiles:
- {shipped: llama-3.1-8b/h100}
- {shipped: meta-llama/Llama-3.1-8B/L40S, configuration: guess}
service_classes:
- {name: c, priority: 1, targets: [{model: my-llama, itl_ms: 50}, {model: llama-3.1-8b, itl_ms: 9}]}
servers:
- {name: s, service_class: c, model: llama-3.1-8b,
   load: {arrival_rate_rps: 1, input_tokens: 100, output_tokens: 100}}
"""


def fleet(text: str = FLEET) -> Fleet:
    return parse_fleet(decode_yaml(text).value)


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        fleet(text)
    return [str(problem) for problem in caught.value.problems]


def test_every_profile_says_its_kind_and_source() -> None:
    for item in SHIPPED:
        origin = item.profile.provenance
        assert origin.kind is not EstimateKind.DECLARED
        assert origin.source
        measured = origin.kind is EstimateKind.MEASURED
        assert measured == (item.document.measured_on is not None), item.name
        assert (item.fit is None) == (origin.kind is EstimateKind.ESTIMATED), item.name
    assert len({item.name for item in SHIPPED}) == len(SHIPPED)


def test_estimated_profiles_say_that_nothing_was_measured() -> None:
    estimated = [each for each in SHIPPED if each.file == "estimated.yaml"]
    assert len(estimated) > 100
    for item in estimated:
        assert item.profile.provenance.kind is EstimateKind.ESTIMATED
        assert "not measured" in item.profile.provenance.source


def test_the_most_trustworthy_comes_first() -> None:
    best = find_shipped("llama-3.1-8b/h100", SHIPPED, CATALOGUE)
    assert best.profile.provenance.kind is not EstimateKind.ESTIMATED
    kinds = list(EstimateKind)
    same = [
        item
        for item in SHIPPED
        if (item.profile.model, item.profile.accelerator)
        == (best.profile.model, best.profile.accelerator)
    ]
    ranks = [kinds.index(item.profile.provenance.kind) for item in same]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    "name",
    [
        "llama-3.1-8b/h100/trtllm",
        "meta-llama/Llama-3.1-8B-Instruct/NVIDIA-H100-80GB-HBM3/TRTLLM",
        "Llama_3.1_8B/H100-SXM-80GB/trtllm",
    ],
)
def test_a_profile_has_all_names_of_the_catalogue(name: str) -> None:
    assert find_shipped(name, SHIPPED, CATALOGUE).name == "llama-3.1-8b/h100-sxm-80gb/trtllm"


def test_an_unknown_name_tells_those_that_there_are() -> None:
    with pytest.raises(InvalidInputError, match="no shipped profile is called") as caught:
        find_shipped("llama-3.1-8b/h1000", SHIPPED, CATALOGUE)
    (problem,) = caught.value.problems
    assert "did you mean" in problem.message
    assert "llama-3.1-8b/l40s" in problem.allowed
    with pytest.raises(InvalidInputError):
        find_shipped("llama", SHIPPED, CATALOGUE)


def test_fleets_take_profiles_by_name() -> None:
    one, two = fleet().profiles
    assert (one.model, one.accelerator, one.accelerators_per_replica) == ("llama-3.1-8b", "H100", 1)
    assert one.provenance.kind is EstimateKind.FITTED
    assert (two.accelerator, two.configuration) == ("L40S", "guess")
    assert two.provenance.kind is EstimateKind.ESTIMATED


def test_what_is_wrong_with_a_name_is_told_where_it_stands() -> None:
    assert problems(FLEET.replace("llama-3.1-8b/h100}", "llama-3.1-8b/h200x}"))[0].startswith(
        'profiles[0].shipped: no shipped profile is called "llama-3.1-8b/h200x"'
    )
    assert problems(FLEET.replace("llama-3.1-8b/h100}", "llama-3.1-8b/b200}")) == [
        'profiles[0].accelerator: is missing, and no accelerator of the fleet is "B200-SXM-180GB" '
        "(allowed: h100-box, H100, L40S)"
    ]
    assert problems(FLEET.replace("h100}", "h100, max_batch: 3}")) == [
        "profiles[0].max_batch: unknown key (allowed: shipped, model, accelerator, configuration)"
    ]
    twice = FLEET.replace("{name: L40S,", "{name: H100-SXM, card_type: L40S,")
    assert "H100 and H100-SXM are" in problems(twice)[0]


def test_the_schema_knows_names_of_shipped_profiles() -> None:
    validator = jsonschema.Draft202012Validator(fleet_schema())
    validator.validate(decode_yaml(FLEET).value)
    assert not validator.is_valid(decode_yaml(FLEET.replace("shipped:", "shiped:")).value)


def test_given_profiles_replace_those_of_the_same_pair() -> None:
    own = fleet()
    given = find_shipped("llama-3.1-8b/h100/trtllm", SHIPPED, CATALOGUE).profile
    changed, notes = with_profiles(own, [given])
    assert notes == ()
    assert [(item.accelerator, item.configuration) for item in changed.profiles] == [
        ("L40S", "guess"),
        ("H100", "trtllm"),
    ]
    assert all(item.model == "llama-3.1-8b" for item in changed.profiles)


def test_a_profile_of_two_cards_fits_a_unit_of_two() -> None:
    given = find_shipped("llama-3.1-8b/h100/trtllm-tp2", SHIPPED, CATALOGUE).profile
    changed, _ = with_profiles(fleet(), [given])
    placed = {item.accelerator: item.accelerators_per_replica for item in changed.profiles}
    assert placed == {"L40S": 1, "h100-box": 1, "H100": 2}


def test_profiles_of_no_use_are_told_and_twice_the_same_is_refused() -> None:
    other = find_shipped("llama-3.1-70b/h200", SHIPPED, CATALOGUE).profile
    _, notes = with_profiles(fleet(), [other])
    assert notes == (
        "the profile of Llama-3.1-70B on H200-SXM-141GB is not used: no server of the fleet serves "
        "that model",
    )
    given = find_shipped("llama-3.1-8b/h100", SHIPPED, CATALOGUE).profile
    with pytest.raises(InvalidInputError, match="two profiles of"):
        with_profiles(fleet(), [given, replace(given, max_batch=1)])
