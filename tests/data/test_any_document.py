"""Whatever a document holds, it becomes a fleet or a list of problems, and nothing else."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.candidates_file import parse_candidates
from data.decode import decode_json, decode_yaml
from data.fleets import parse_fleet
from data.stoker_example import EXAMPLE
from stoker.domain.errors import InvalidInputError
from tests.data.test_candidates_file import ENTRY
from tests.support.inferno_systems import SYSTEM

odd = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 1.5, math.nan, math.inf, 10**400, "", "x", "1", "\ud800", [], {}, [[]]]
    ),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=5,
    ),
)


# JSON escapes further characters as surrogate pairs, which YAML has no word for.
bmp_text = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [above, *(place for key, item in inside for place in places(item, (*above, key)))]


def spoil(document: Any, place: tuple[Any, ...], value: object) -> Any:
    if not place:
        return value
    here = document
    for part in place[:-1]:
        here = here[part]
    here[place[-1]] = value
    return document


def refusal(parse: Callable[[Any], object], document: object) -> InvalidInputError | None:
    """Return the error that a document is refused with, or None where it is accepted."""
    try:
        parse(document)
    except InvalidInputError as error:
        return error
    return None


@pytest.mark.parametrize("document", [EXAMPLE, SYSTEM], ids=["stoker", "inferno"])
@given(st.data())
@settings(max_examples=150)
def test_fleets(document: Any, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(places(document)))
    error = refusal(parse_fleet, spoil(copy.deepcopy(document), place, data.draw(odd)))
    assert error is None or (error.problems and str(error).encode("utf-8"))


@given(st.data())
def test_candidates(data: st.DataObject) -> None:
    document = {"candidates": {"s": {"A": dict(ENTRY)}}}
    place = data.draw(st.sampled_from(places(document)))
    error = refusal(parse_candidates, spoil(document, place, data.draw(odd)))
    assert error is None or (error.problems and str(error).encode("utf-8"))


@given(st.text(alphabet="{}[]:,-?&*!|>\"'#%@\n\t ab10.e~<", max_size=60))
@settings(max_examples=400)
def test_texts(text: str) -> None:
    for decode in (decode_yaml, decode_json):
        error = refusal(decode, text)
        assert error is None or len(error.problems) == 1


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.integers(-(10**20), 10**20)
        | bmp_text,
        lambda inner: st.lists(inner) | st.dictionaries(bmp_text, inner),
        max_leaves=10,
    )
)
def test_every_json_text_reads_the_same_as_yaml(value: object) -> None:
    text = json.dumps(value)
    assert decode_json(text).value == value
    assert decode_yaml(text).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("2024-01-31", "2024-01-31"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-7", -7),
        ("~", None),
        ("", None),
        ("True", True),
        ("'true'", "true"),
        ("!!str 5", "5"),
        ("-.inf", -math.inf),
    ],
)
def test_plain_values_follow_yaml_1_2(text: str, value: object) -> None:
    read = decode_yaml(f"a: {text}").value
    assert read == {"a": value}
    assert isinstance(read, dict)
    assert type(read["a"]) is type(value)
