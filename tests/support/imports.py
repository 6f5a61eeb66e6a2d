"""What a module imports, read from its source."""

import ast
from collections.abc import Iterator
from pathlib import Path


def imported_names(module: Path) -> Iterator[str]:
    """Dotted names that a module imports, at its top or inside a function.

    Raises:
        AssertionError: At a relative import, which the floors do not know.
    """
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield node.module or ""


def names_imported_at_the_top(module: Path) -> Iterator[str]:
    """Dotted names that importing a module imports: not in a function, not for types alone."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
