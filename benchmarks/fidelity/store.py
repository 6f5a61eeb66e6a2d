"""Results of simulations kept on disk: what was simulated once is not simulated again.

A result is named by everything it depends on: what was asked, and the text of the simulator.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import simulator
from benchmarks.fidelity.case import Json

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".fidelity"


@cache
def simulator_version() -> str:
    """Return a name that changes with any line of the simulator."""
    digest = hashlib.sha256()
    folder = Path(simulator.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of results, a file for each.

    Attributes:
        folder: It is made when the first result comes.
    """

    folder: Path = FOLDER

    def read(self, question: dict[str, Json]) -> dict[str, Json] | None:
        """Return the answer to a question; None where there is none yet."""
        try:
            text = self._path(question).read_text()
        except FileNotFoundError:
            return None
        answer: dict[str, Json] = json.loads(text)["answer"]
        return answer

    def write(self, question: dict[str, Json], answer: dict[str, Json]) -> None:
        """Keep an answer."""
        path = self._path(question)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"question": question, "answer": answer}))
        part.replace(path)  # a file is there whole, or not at all

    def _path(self, question: dict[str, Json]) -> Path:
        name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        return self.folder / simulator_version() / f"{name[:24]}.json"
