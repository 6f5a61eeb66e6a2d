"""A row as it was found in a file, before it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.errors import Problem


@dataclass(frozen=True, slots=True)
class Draft:
    """One row of a file, in the fields of Stoker's own rows.

    Attributes:
        where: Where the row stands in the file, such as ``line 3`` or ``benchmarks[2]``.
        values: What was found by field; None or absent is unknown.
        places: Where a field stands within the row, where that is not the field's own name.
        problems: What kept the row from being read further.
    """

    where: str
    values: Mapping[str, object]
    places: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @classmethod
    def unreadable(cls, where: str, message: str, allowed: str = "") -> Draft:
        """Return a row of which nothing can be used."""
        return cls(where, {}, {}, (Problem(where, message, allowed),))

    def place(self, name: str) -> str:
        """Return where a field stands in the file."""
        return f"{self.where}: {self.places.get(name, name)}"


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """What is known of the server beside a file; a row's own values count more. None is unknown.

    Attributes:
        model: Name of the model.
        gpu: Name of the accelerator.
        n_gpus: Accelerators that the replica spans.
        engine: Model server and version.
        precision: Of weights.
        max_batch: Most sequences in service at once.
        max_num_batched_tokens: Token budget of one iteration.
    """

    model: str | None = None
    gpu: str | None = None
    n_gpus: int | None = None
    engine: str | None = None
    precision: str | None = None
    max_batch: int | None = None
    max_num_batched_tokens: int | None = None
