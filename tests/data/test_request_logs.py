"""Logs of requests in the layouts of those who publish them, read as traces."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from data.request_logs import parse_request_log, trace_lines
from data.simulation_lines import parse_trace
from stoker.domain.errors import InvalidInputError
from tests.support.cli import stoker

AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:04.0319600,110,27
2023-11-16 18:17:03.9799600,374,44
2023-11-16 18:18:03.9799600,396,109
"""
AZURE_2024 = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 02:00:00.509930+02:00,2399,6
"""
BURSTGPT = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,GPT-4,1087,230,1317,API log
50,GPT-4,300,0,300,API log
"""
MOONCAKE = """\
{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}

{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46, 47, 48]}
"""
Rows = list[tuple[float, int, int]]
LOGS: dict[str, tuple[str, str, Rows]] = {
    "azure": (AZURE, "Azure LLM inference", [(0, 374, 44), (0.052, 110, 27), (60, 396, 109)]),
    "azure-2024": (AZURE_2024, "Azure LLM inference", [(0, 2162, 5), (0.5, 2399, 6)]),
    "burstgpt": (BURSTGPT, "BurstGPT", [(0, 472, 18), (40, 1087, 230)]),
    "mooncake": (MOONCAKE, "Mooncake", [(0, 6955, 52), (3.053, 6472, 26)]),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_read_by_the_columns_that_it_has(name: str) -> None:
    text, layout, expected = LOGS[name]
    log = parse_request_log(io.StringIO(text))
    assert log.layout == layout
    assert log.without_output == (name == "burstgpt")
    found = [(each.arrival_s, each.input_tokens, each.output_tokens) for each in log.requests]
    assert found == [(pytest.approx(s, abs=1e-6), *tokens) for s, *tokens in expected]


@pytest.mark.parametrize("name", LOGS)
def test_what_is_written_is_read_as_a_trace(name: str, tmp_path: Path) -> None:
    text, _, expected = LOGS[name]
    source, target = tmp_path / "log", tmp_path / "trace.csv"
    source.write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8")
    result = stoker("convert", source, "--to", "trace", "--output", target)
    assert result.exit_code == 0
    assert ("1 requests without an output token are left out" in result.stderr) == (
        name == "burstgpt"
    )
    with target.open(newline="") as lines:
        rows = parse_trace(lines)
    assert rows.arrival_ms == pytest.approx([1000 * each[0] for each in expected], abs=1e-3)
    assert rows.input_tokens == tuple(each[1] for each in expected)
    assert rows.output_tokens == tuple(each[2] for each in expected)


def test_models_are_told_where_the_log_tells_them() -> None:
    assert list(trace_lines(parse_request_log(io.StringIO(BURSTGPT)))) == [
        "arrival_s,in_tokens,out_tokens,model",
        '0,472,18,"ChatGPT"',
        '40,1087,230,"GPT-4"',
    ]
    assert next(trace_lines(parse_request_log(io.StringIO(AZURE)))).endswith("out_tokens")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "columns: are nothing (allowed: TIMESTAMP, ContextTokens"),
        ("a,b\n1,2\n", "columns: are a, b (allowed: TIMESTAMP, ContextTokens"),
        (AZURE.replace("396", "-1"), "line 4: is 2023-11-16 18:18:03.9799600, -1, 109"),
        (AZURE.replace("18:18", "18.18"), "a date and time; input and output tokens"),
        (BURSTGPT.replace("45,GPT-4", "45,5,GPT-4"), "line 3: has 7 cells"),
        (BURSTGPT.replace("472", "nan"), "line 2: is 5, nan, 18"),
        (MOONCAKE.replace("27482", "null"), "line 1: is None, 6955, 52"),
        (MOONCAKE.replace("6472", '"many"'), "line 3: is 30535, many, 26"),
        (MOONCAKE + "[1]\n", "line 4: is no JSON object"),
        (MOONCAKE + "{\n", "line 4: is not JSON"),
        ("Timestamp,Request tokens,Response tokens\n5,1,0\n", "has no request with an output"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_request_log(io.StringIO(text), file="log.csv")
    assert words in str(caught.value)
    source, target = tmp_path / "log", tmp_path / "trace.csv"
    source.write_text(text)
    result = stoker("convert", source, "--to", "trace", "--output", target)
    assert (result.exit_code, target.exists()) == (2, False)


def test_a_log_in_another_encoding_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.write_bytes(BURSTGPT.replace("ChatGPT", "Modèle").encode("latin-1"))
    for command in (
        ["convert", source, "--to", "trace"],
        ["simulate", "--trace", source, "--case", source],
    ):
        result = stoker(*command)
        assert result.exit_code == 2
        assert "is no UTF-8 text" in result.stderr
