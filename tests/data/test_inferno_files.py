"""Inferno's format: directories, single objects, and what is written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from data.fleets import parse_fleet, read_fleet
from data.inferno import (
    InfernoAccelerator,
    InfernoModelPerf,
    InfernoOptimizer,
    InfernoServer,
    InfernoServers,
    InfernoServiceClass,
    InfernoSystem,
    fleet_to_system,
    parse_one,
    parse_system,
    system_to_fleet,
    to_json,
)
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.settings import Analysis
from tests.support.fleets import shared_fleets
from tests.support.inferno_systems import (
    ACCELERATOR,
    SERVER,
    SYSTEM,
    Json,
    at,
    system,
)

FILES = {
    "accelerator-data.json": "acceleratorData",
    "capacity-data.json": "capacityData",
    "model-data.json": "modelData",
    "serviceclass-data.json": "serviceClassData",
    "server-data.json": "serverData",
    "optimizer-data.json": "optimizerData",
}


class TestDirectory:
    def write(self, folder: Path, document: Json) -> None:
        for name, section in FILES.items():
            (folder / name).write_text(json.dumps(document["system"][section]))

    def test_six_files_are_one_system(self, tmp_path: Path) -> None:
        self.write(tmp_path, SYSTEM)
        assert read_fleet(tmp_path) == parse_fleet(SYSTEM)

    def test_problems_name_the_file_and_the_path_in_it(self, tmp_path: Path) -> None:
        document = system()
        at(*SERVER, "model", to="x")(document)
        at(*ACCELERATOR, "cost", to=-1)(document)
        self.write(tmp_path, document)
        with pytest.raises(InvalidInputError) as caught:
            read_fleet(tmp_path)
        found = [(Path(item.file).name, item.path) for item in caught.value.problems]
        assert found == [
            ("accelerator-data.json", "accelerators[0].cost"),
            ("server-data.json", "servers[0].model"),
        ]

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        self.write(tmp_path, SYSTEM)
        (tmp_path / "model-data.json").unlink()
        with pytest.raises(InvalidInputError) as caught:
            read_fleet(tmp_path)
        (problem,) = caught.value.problems
        assert problem.file == str(tmp_path / "model-data.json")
        assert "missing" in problem.message

    def test_flags_may_be_left_out(self, tmp_path: Path) -> None:
        self.write(tmp_path, SYSTEM)
        (tmp_path / "optimizer-data.json").unlink()
        assert read_fleet(tmp_path).settings.solver is None


class TestWriting:
    def test_reference_systems_return_as_they_were(self, golden_dir: Path) -> None:
        paths = sorted((golden_dir / "systems").glob("*.json"))
        assert len(paths) == 29
        for path in paths:
            document = json.loads(path.read_text(encoding="utf-8"))
            for server in document["system"]["serverData"]["servers"]:
                # The older generation leaves out what is zero there.
                server.setdefault("maxQueueSize", 0)
                for key in ("currentAlloc", "desiredAlloc"):
                    server[key]["load"].setdefault("throughput", 0)
            fleet = read_fleet(path)
            assert fleet_to_system(fleet) == document, path.name

    @given(shared_fleets())
    @settings(max_examples=60)
    def test_every_fleet_returns(self, fleet: Fleet) -> None:
        document = json.loads(json.dumps(fleet_to_system(fleet)))
        reference = replace(
            fleet.settings, analysis=Analysis.REFERENCE
        )  # as such fleets are planned
        assert parse_fleet(document) == replace(fleet, settings=reference)
        assert fleet_to_system(parse_fleet(document)) == document

    def test_whole_numbers_have_no_decimal_point(self) -> None:
        text = json.dumps(fleet_to_system(parse_fleet(SYSTEM)))
        assert ".0" not in text.replace("0.0", "")


class TestSingleObjects:
    def test_objects_and_collections(self) -> None:
        assert parse_one(InfernoOptimizer, {"MilpSolver": True}).milp_solver is True
        accelerator = SYSTEM["system"]["acceleratorData"]["accelerators"][0]
        assert to_json(parse_one(InfernoAccelerator, accelerator)) == accelerator
        servers = parse_one(InfernoServers, SYSTEM["system"]["serverData"])
        assert [item.name for item in servers.servers] == ["one", "two", "three"]

    @pytest.mark.parametrize(
        ("model", "document", "path"),
        [
            (InfernoServer, {"name": "a"}, "model"),
            (InfernoServer, [], ""),
            (InfernoModelPerf, {"name": "a", "acc": "b"}, ""),
            (
                InfernoServiceClass,
                {"name": "a", "priority": 1, "modelTargets": [{"model": "m"}, {"model": "m"}]},
                "modelTargets[1].model",
            ),
            (
                InfernoServers,
                {"servers": [{"name": "a", "model": "m"}, {"name": "a", "model": "m"}]},
                "servers[1].name",
            ),
        ],
    )
    def test_mistakes(self, model: Any, document: object, path: str) -> None:
        with pytest.raises(InvalidInputError) as caught:
            parse_one(model, document)
        assert [problem.path for problem in caught.value.problems] == [path]

    def test_a_system_put_together_is_checked(self) -> None:
        parsed = parse_system(SYSTEM)
        assert system_to_fleet(parsed) == parse_fleet(SYSTEM)
        stranger = parse_one(InfernoServers, {"servers": [{"name": "a", "model": "zzz"}]})
        mixed: InfernoSystem = parsed.model_copy(update={"server_data": stranger})
        with pytest.raises(InvalidInputError, match=r"servers\[0\]\.model: no model is called"):
            system_to_fleet(mixed)
