"""Results of simulations kept on disk: what was simulated once is not simulated again.

A result is named by everything it depends on: what was asked, and the code of the simulator.
"""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import simulator
from benchmarks.fidelity.case import Json

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".fidelity"


class _Bare(ast.NodeTransformer):
    """Takes away docstrings and imports; comments are gone before."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Drop statements that are nothing but text."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node

    def visit_Import(self, node: ast.Import) -> None:
        """Drop it: where a name comes from changes no result."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Drop it."""


_TELLING = ("scenario.py", "engine.py", "iteration.py", "__init__.py")
"""Files that only tell what is simulated, which the questions hold as well."""


@cache
def simulator_version() -> str:
    """Return a name that changes with the code that simulates, not with what is said of it."""
    digest = hashlib.sha256()
    folder = Path(simulator.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if name not in _TELLING:
            tree = _Bare().visit(ast.parse(path.read_text(encoding="utf-8")))
            digest.update(name.encode() + ast.dump(tree).encode())
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
