import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from data.fleets import builtin_names, parse_fleet, read_fleet
from data.stoker_example import EXAMPLE
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.settings import INFERNO_RULES, STOKER_RULES, SaturationPolicy


def problems_of(source: str | Path) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInputError) as caught:
        read_fleet(source)
    return caught.value.problems


def put(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


class TestBuiltIn:
    def test_names(self) -> None:
        assert builtin_names() == ("large", "small")

    def test_large_has_27_servers_of_3_classes_and_9_models_on_21_accelerators(self) -> None:
        fleet = read_fleet("large")
        pairs = {(server.service_class, server.model) for server in fleet.servers}
        assert len(fleet.servers) == len(pairs) == 27
        assert len({service_class for service_class, _ in pairs}) == 3
        assert len({model for _, model in pairs}) == 9
        assert len(fleet.accelerators) == 21

    @pytest.mark.parametrize("name", ["small", "large"])
    def test_rules_and_source(self, name: str) -> None:
        fleet = read_fleet(name)
        assert fleet.rules == STOKER_RULES
        assert fleet.settings.solver is None
        assert "Inferno" in fleet.source
        assert fleet.name == name

    @pytest.mark.parametrize("name", ["small", "large"])
    def test_figures_are_those_of_the_reference_system(self, name: str, golden_dir: Path) -> None:
        reference = read_fleet(golden_dir / "systems" / f"light_{name}_cap100.json")
        fleet = read_fleet(name)
        same = replace(fleet, name="", source="", rules=INFERNO_RULES, settings=reference.settings)
        assert same == reference
        assert fleet.settings.saturation_policy is SaturationPolicy.ROUND_ROBIN


class TestFiles:
    @pytest.mark.parametrize("name", ["fleet.json", "fleet.yaml", "fleet.yml", "fleet"])
    def test_the_ending_does_not_matter(self, name: str, tmp_path: Path) -> None:
        path = put(tmp_path / name, EXAMPLE)
        assert read_fleet(path) == read_fleet(str(path)) == parse_fleet(EXAMPLE)

    def test_a_byte_order_mark_is_skipped(self, tmp_path: Path) -> None:
        path = tmp_path / "f.json"
        path.write_text(json.dumps(EXAMPLE), encoding="utf-8-sig")
        assert read_fleet(path) == parse_fleet(EXAMPLE)

    def test_a_name_that_is_nothing_suggests_a_built_in_fleet(self) -> None:
        (problem,) = problems_of("larg")
        assert 'did you mean "large"?' in problem.message
        assert "large, small" in problem.allowed

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "empty"),
            (b"  \n# only a comment\n", "empty"),
            (b"name: \xff\xfe", "byte 6 is not UTF-8"),
            (b"a: 1\nb: [1, 2\nc: 3\n", "line 3, column"),
            (b"a: 1\n\tb: 2", "line 2, column 1"),
            (b"a: &x [1]\nb: *x\n", "alias *x at line 2, column 4"),
            (b"a: !!python/object:os.system x", "tag"),
            (b"a: 1\n---\nb: 2\n", "second document"),
            (b"[" * 100_000, "nested too deeply"),
            (b"? [1, 2]\n: 3\n", "no text"),
            (b"a: \x00", "malformed YAML"),
        ],
    )
    def test_unreadable_yaml(self, content: bytes, message: str, tmp_path: Path) -> None:
        path = tmp_path / "f.yaml"
        path.write_bytes(content)
        (problem,) = problems_of(path)
        assert problem.file == str(path)
        assert message in problem.message

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "empty"),
            (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
            (b'{"a": ' * 200_000, "nested too deeply"),
            (b"[" * 500 + b"]" * 500, "nested too deeply"),
            (b"\xff{}", "byte 0 is not UTF-8"),
        ],
    )
    def test_unreadable_json(self, content: bytes, message: str, tmp_path: Path) -> None:
        path = tmp_path / "f.json"
        path.write_bytes(content)
        (problem,) = problems_of(path)
        assert problem.file == str(path)
        assert message in problem.message

    def test_duplicate_keys_are_told_with_everything_else(self, tmp_path: Path) -> None:
        text = yaml.safe_dump(EXAMPLE) + "name: again\nnmae: x\n"
        path = tmp_path / "f.yaml"
        path.write_text(text)
        lines = text.splitlines()
        first, second = lines.index("name: chat") + 1, lines.index("name: again") + 1
        found = {problem.path: problem.message for problem in problems_of(path)}
        assert found["name"] == f'duplicate key "name": lines {first} and {second}'
        assert "unknown key" in found["nmae"]
        path = tmp_path / "f.json"
        path.write_text(json.dumps(EXAMPLE)[:-1] + ', "name": "again"}')
        (problem,) = problems_of(path)
        assert (problem.path, problem.message) == ("name", 'duplicate key "name"')

    def test_numbers_that_no_float_holds(self, tmp_path: Path) -> None:
        text = json.dumps(EXAMPLE)
        for number in ("1e999", "Infinity", "NaN", "1" * 5000):
            path = tmp_path / "f.json"
            path.write_text(text.replace("2.5", number))
            (problem,) = problems_of(path)
            assert problem.path == "accelerators[0].cost_per_hour"
            assert "is not a finite number" in problem.message

    def test_what_is_neither_a_file_nor_a_directory(self, tmp_path: Path) -> None:
        (problem,) = problems_of("/dev/null")
        assert problem.message == "is not a file"
        link = tmp_path / "dangling.json"
        link.symlink_to(tmp_path / "nothing")
        assert "neither a built-in fleet" in problems_of(link)[0].message


class TestDirectories:
    def test_sections_of_several_documents_are_joined(self, tmp_path: Path) -> None:
        hardware = ("version", "currency", "accelerators", "capacity")
        put(tmp_path / "1.json", {key: EXAMPLE[key] for key in hardware})
        rest = {key: value for key, value in EXAMPLE.items() if key not in hardware}
        (tmp_path / "2.yaml").write_text(yaml.safe_dump({"version": 1, **rest}))
        (tmp_path / "notes.txt").write_text("not a document")
        (tmp_path / ".hidden.yaml").write_text("]")
        assert read_fleet(tmp_path) == parse_fleet(EXAMPLE)

    def test_lists_of_a_section_are_joined_in_the_order_of_files(self, tmp_path: Path) -> None:
        put(tmp_path / "a.json", EXAMPLE)
        more = [{**EXAMPLE["servers"][0], "name": name} for name in ("x", "y")]  # type: ignore[index, dict-item]
        put(tmp_path / "b.json", {"servers": more})
        assert [server.name for server in read_fleet(tmp_path).servers] == ["chat", "x", "y"]

    def test_a_name_used_in_two_files_names_both(self, tmp_path: Path) -> None:
        first = put(tmp_path / "a.json", EXAMPLE)
        second = put(tmp_path / "b.json", {"servers": EXAMPLE["servers"]})
        (problem,) = problems_of(tmp_path)
        assert problem.file == str(second)
        assert problem.path == "servers[0].name"
        assert f"first at servers[0].name in {first}" in problem.message

    def test_a_key_given_in_two_files_names_both(self, tmp_path: Path) -> None:
        first = put(tmp_path / "a.json", EXAMPLE)
        second = put(tmp_path / "b.json", {"capacity": {"H100": 64}, "currency": "EUR"})
        found = problems_of(tmp_path)
        assert [problem.path for problem in found] == ["capacity.H100", "currency"]
        assert all(str(first) in problem.message for problem in found)
        assert {problem.file for problem in found} == {str(second)}

    def test_problems_of_all_files_come_in_the_order_of_files(self, tmp_path: Path) -> None:
        broken = {**EXAMPLE, "accelerators": [{"name": "H100"}], "extra": 1}
        put(tmp_path / "a.json", broken)
        put(tmp_path / "b.json", {"servers": [{"name": "x", "load": 4}], "odd": {}})
        found = [(Path(item.file).name, item.path) for item in problems_of(tmp_path)]
        assert found == [
            ("a.json", "accelerators[0].cost_per_hour"),
            ("a.json", "extra"),
            ("b.json", "servers[0].load"),
            ("b.json", "servers[0].service_class"),
            ("b.json", "servers[0].model"),
            ("b.json", "odd"),
        ]

    def test_unreadable_files_are_all_told(self, tmp_path: Path) -> None:
        for name in ("a.json", "b.yaml"):
            (tmp_path / name).write_text("{")
        put(tmp_path / "c.json", EXAMPLE)
        assert [Path(item.file).name for item in problems_of(tmp_path)] == ["a.json", "b.yaml"]

    def test_a_directory_without_documents(self, tmp_path: Path) -> None:
        (problem,) = problems_of(tmp_path)
        assert problem.file == str(tmp_path)
        assert "*.yaml" in problem.allowed

    def test_a_part_that_is_no_mapping(self, tmp_path: Path) -> None:
        put(tmp_path / "a.json", EXAMPLE)
        path = put(tmp_path / "b.json", [1])
        (problem,) = problems_of(tmp_path)
        assert (problem.file, problem.message) == (str(path), "a list is not a mapping")
