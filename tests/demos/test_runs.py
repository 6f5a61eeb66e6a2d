import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from demos import d05_scaling, d06_saturation_policies
from demos.render_docs_images import SHOWN
from stoker.cli.demo import find_demos

DEMOS = find_demos()
ROOT = Path(__file__).parents[2]
Runner = Callable[[str], tuple[dict[str, Any], Path]]


def test_they_are_numbered_in_order_and_once_each() -> None:
    numbers = [demo.name[:2] for demo in DEMOS]
    assert numbers[:7] == [f"{number:02}" for number in range(1, 8)]
    assert numbers == sorted(set(numbers))
    assert all(demo.title.endswith(".") for demo in DEMOS)


@pytest.mark.parametrize("number", [demo.name[:2] for demo in DEMOS])
def test_data_and_pictures_are_written(number: str, demo_data: Runner) -> None:
    data, output = demo_data(number)
    assert data == json.loads((output / "result.json").read_text(encoding="utf-8"))
    assert data["findings"]
    assert all(isinstance(finding, str) and finding for finding in data["findings"])
    written = {path.name for path in output.iterdir()}
    assert written == {"result.json", *data["pictures"]}
    for picture in data["pictures"]:
        with Image.open(output / picture) as image:
            assert min(image.size) > 200


@pytest.mark.parametrize("number", [demo.name[:2] for demo in DEMOS])
def test_no_finding_says_nonsense(number: str, demo_data: Runner) -> None:
    data, _ = demo_data(number)
    for finding in data["findings"]:
        assert not re.search(r"\b(nan|inf|None of)\b|\.\.$", finding), finding


def test_table_prints_title_findings_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = d05_scaling.main(tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    assert str(data["title"]) in printed
    findings = data["findings"]
    assert isinstance(findings, list)
    for finding in findings:
        assert finding in printed
    assert "result.json" in printed


def test_json_prints_the_data_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = d06_saturation_policies.main(tmp_path, "json")
    assert json.loads(capsys.readouterr().out) == data


def test_same_run_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        d06_saturation_policies.main(tmp_path / name, "json")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="xml"):
        d05_scaling.main(tmp_path, "xml")


def test_runs_as_a_script(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demos.d05_scaling", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "requests/s" in done.stdout
    assert (tmp_path / "out" / "scaling.png").is_file()


def test_every_demonstration_is_on_its_page() -> None:
    page = (ROOT / "docs" / "demos.md").read_text(encoding="utf-8")
    assert set(SHOWN) == {demo.name for demo in DEMOS}
    for demo in DEMOS:
        assert f"stoker demo {demo.name}" in page
        assert f"images/demos/{demo.name}.png" in page
        assert importlib.import_module(demo.module).main is SHOWN[demo.name][0]
    for path in re.findall(r"\]\((images/[^)]+)\)", page):
        assert (ROOT / "docs" / path).stat().st_size < 150_000
