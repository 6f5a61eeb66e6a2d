"""validate, convert, schema, catalogue and version."""

import json
import platform
from pathlib import Path

import jsonschema
import pytest
import yaml

from data.fleets import builtin_names, read_fleet
from stoker import __version__
from stoker.cli.losses import losses
from tests.support.cli import stoker


def test_validate_counts_what_is_in_a_fleet() -> None:
    result = stoker("validate", "large")
    assert result.exit_code == 0
    assert result.output.startswith("large: valid: 27 servers, ")
    assert "9 models, 189 profiles, 21 accelerators, " in result.output
    assert result.output.count("\n") == 1


def test_validate_as_json() -> None:
    document = json.loads(stoker("validate", "small", "--format", "json").stdout)
    fleet = read_fleet("small")
    assert document["valid"] is True
    assert (document["problems"], document["notes"]) == ([], [])
    assert document["counts"]["servers"] == len(fleet.servers)
    assert document["counts"]["cards"] == sum(capacity.count for capacity in fleet.capacity)


def test_validate_notes_what_is_legal_but_loose(tmp_path: Path) -> None:
    document = yaml.safe_load(stoker("convert", "small", "--to", "stoker").stdout)
    card_type = next(iter(document["capacity"]))
    document["capacity"][card_type] = 0
    path = tmp_path / "loose.yaml"
    path.write_text(yaml.safe_dump(document))
    result = stoker("validate", path)
    assert result.exit_code == 0
    first, note = result.stdout.splitlines()
    assert first.startswith(f"{path}: valid: ")
    assert note.startswith(f'note: card type "{card_type}" has a count of 0 in the capacity')
    as_json = json.loads(stoker("validate", path, "--format", "json").stdout)
    assert as_json["valid"] is True
    assert as_json["notes"] == [note.removeprefix("note: ")]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    document = yaml.safe_load(stoker("convert", "small", "--to", "stoker").stdout)
    document["servers"][0]["model"] = "no_such_model"
    document["servers"][1]["min_replicas"] = -1
    document["servers"][2]["colour"] = "red"
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_validate_tells_all_problems_at_once(broken: Path) -> None:
    result = stoker("validate", broken)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert all(line.startswith(f"error: {broken}: servers[") for line in lines)
    for words in ("no_such_model", "min_replicas", "colour"):
        assert any(words in line for line in lines)


def test_validate_tells_all_problems_as_json(broken: Path) -> None:
    result = stoker("validate", broken, "--format", "json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["valid"] is False
    assert len(document["problems"]) >= 3
    assert {"file", "path", "message", "allowed"} == set(document["problems"][0])


@pytest.mark.parametrize("name", builtin_names())
@pytest.mark.parametrize("target", ["stoker", "inferno", "inferno-dir"])
def test_a_converted_fleet_reads_back_as_what_was_said_of_it(
    name: str, target: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    result = stoker("convert", name, "--to", target, "--output", path)
    assert (result.exit_code, result.stdout) == (0, "")
    said = [line.removeprefix("note: ") for line in result.stderr.splitlines()]
    lost = list(losses(read_fleet(name), read_fleet(path)))
    assert said[1:] == lost
    assert bool(said) == bool(lost)


def test_stokers_own_format_loses_nothing() -> None:
    assert stoker("convert", "large", "--to", "stoker").stderr == ""


def test_what_inferno_cannot_hold_is_said(tmp_path: Path) -> None:
    document = yaml.safe_load(stoker("convert", "small", "--to", "stoker").stdout)
    document["currency"] = "EUR"
    document["servers"][0]["max_replicas"] = 9
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(document))
    notes = stoker("convert", path, "--to", "inferno").stderr
    assert "the inferno format cannot hold all of this fleet" in notes
    assert "currency: EUR becomes USD" in notes
    assert "servers.max_replicas: " in notes


def test_convert_spells_as_told() -> None:
    as_json = stoker("convert", "small", "--to", "stoker", "--format", "json").stdout
    as_yaml = stoker("convert", "small", "--to", "stoker", "--format", "yaml").stdout
    assert json.loads(as_json) == yaml.safe_load(as_yaml)


def test_convert_spells_as_the_name_of_the_file_says(tmp_path: Path) -> None:
    stoker("convert", "small", "--to", "stoker", "--output", tmp_path / "fleet.json")
    assert json.loads((tmp_path / "fleet.json").read_text())["currency"] == "USD"


def test_convert_writes_the_six_files_of_a_directory(tmp_path: Path) -> None:
    target = tmp_path / "new" / "inferno"
    stoker("convert", "small", "--to", "inferno-dir", "--output", target)
    assert sorted(path.name for path in target.iterdir()) == [
        "accelerator-data.json",
        "capacity-data.json",
        "model-data.json",
        "optimizer-data.json",
        "server-data.json",
        "serviceclass-data.json",
    ]
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "inferno-dir"], "--output: is needed with --to inferno-dir"),
        (["--to", "inferno", "--format", "yaml"], "yaml cannot be combined with --to inferno"),
        (["--to", "inferno-dir", "--output", "{tmp}"], "is not empty"),
        (["--to", "stoker", "--output", "{tmp}"], "is a directory"),
        (["--to", "toml"], "'toml' is not one of"),
    ],
)
def test_convert_refuses_what_does_not_fit(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "something").write_text("")
    result = stoker("convert", "small", *(a.format(tmp=tmp_path) for a in arguments))
    assert result.exit_code == 2
    assert words in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_the_schema_accepts_the_built_in_fleets(tmp_path: Path) -> None:
    stoker("schema", "--output", tmp_path / "schema.json")
    schema = json.loads((tmp_path / "schema.json").read_text())
    assert schema == json.loads(stoker("schema").stdout)
    for name in builtin_names():
        document = yaml.safe_load(stoker("convert", name, "--to", "stoker").stdout)
        jsonschema.Draft202012Validator(schema).validate(document)


def test_the_catalogue_as_json_holds_every_field() -> None:
    document = json.loads(stoker("catalogue", "--format", "json").stdout)
    assert set(document) == {"accelerators", "models"}
    cards = {card["name"]: card for card in document["accelerators"]}
    assert cards["L4"]["memory_gb"] == 24
    assert cards["L4"]["source"]
    assert cards["L4"]["price_per_hour"] == pytest.approx(
        cards["L4"]["price"]["instance_price_per_hour"] / cards["L4"]["price"]["cards"]
    )
    only = json.loads(stoker("catalogue", "models", "--format", "json").stdout)
    assert only == {"models": document["models"]}


def test_the_catalogue_as_a_table() -> None:
    document = json.loads(stoker("catalogue", "--format", "json").stdout)
    output = stoker("catalogue").stdout
    for record in document["accelerators"] + document["models"]:
        assert record["name"] in output
    assert "accelerators" not in stoker("catalogue", "models").stdout.splitlines()[0]


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_names_of_the_catalogue_are_whole_at_any_usual_width(columns: int) -> None:
    document = json.loads(stoker("catalogue", "--format", "json").stdout)
    lines = stoker("catalogue", columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    starts = {line.split("  ")[0] for line in lines}
    assert {record["name"] for record in document["accelerators"] + document["models"]} <= starts
    words = {word for line in lines for word in line.split()}
    assert {card["vendor"].split()[0] for card in document["accelerators"]} <= words
    assert {model["publisher"].split()[0] for model in document["models"]} <= words


def test_version() -> None:
    assert (
        stoker("version").stdout == f"stoker {__version__} (Python {platform.python_version()})\n"
    )
    assert stoker("--version").stdout == stoker("version").stdout
    assert json.loads(stoker("version", "--format", "json").stdout)["stoker"] == __version__
