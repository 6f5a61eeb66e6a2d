"""The catalogue of accelerators and model architectures that comes with Stoker.

Reads and checks its two files, `accelerators.yaml` and `models.yaml`, and looks records up by name
or alias. It must never compute performance or choose between cards: it holds what vendors and
publishers say, with the source of each record.
"""

from data.catalogue.read import (
    Catalogue,
    UnknownNameError,
    load_catalogue,
    parse_accelerators,
    parse_models,
)

__all__ = [
    "Catalogue",
    "UnknownNameError",
    "load_catalogue",
    "parse_accelerators",
    "parse_models",
]
