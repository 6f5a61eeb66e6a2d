"""The documents of a running loop: read again in every cycle, and followed as far as that goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.domain.control.choices import Mode
from stoker.domain.control.observation import Observation
from stoker.domain.control.settings import ClusterSettings, ControlSettings
from stoker.domain.errors import StokerError
from stoker.domain.fleet import Fleet

if TYPE_CHECKING:
    from controller.loop import Document
    from controller.ports import Observer

_FOLLOWED = ("selector", "product_labels", "resource")
"""Fields of `cluster` that only tell how to read what the cluster says."""


class Files:
    """The documents on disk, read again in every cycle.

    What the way to the cluster, the Lease and the records rest on is held as it was at first: it
    takes effect when the loop is started again, and `waiting` says so.

    Args:
        path: The control document.
        mode: Mode that the command line asks for, instead of the document's.
        dry_run: Whether the command line asks that changes are only tried.
    """

    def __init__(self, path: Path, mode: Mode | None, *, dry_run: bool = False) -> None:
        self._path = path
        self._mode = mode
        self._dry_run = dry_run
        self._begun: ControlSettings | None = None
        self.elects = False
        """Whether the documents that were last read well let the loop write."""
        self.settings = ControlSettings()
        """The settings in force."""
        self.waiting: tuple[str, ...] = ()
        """Changes of the documents that take effect when the loop is started again."""

    def read(self) -> Document:
        """Return the documents as they are now.

        Raises:
            InvalidInputError: Every problem of either document.
            OSError: A file cannot be read.
        """
        from collector.kubernetes.labels import parse_selector
        from controller.loop import Document
        from data.control_document.reading import read_control

        found = read_control(self._path)
        parse_selector(found.settings.cluster.selector)
        settings = found.settings
        if self._mode is not None:
            settings = replace(settings, loop=replace(settings.loop, mode=self._mode))
        if self._dry_run:
            settings = replace(settings, loop=replace(settings.loop, dry_run=True))
        if self._begun is None:
            self._begun = settings
        self.waiting = tuple(_waiting(self._begun, settings))
        self.settings = _held(self._begun, settings)
        self.elects = settings.loop.mode is not Mode.OBSERVE and not settings.loop.dry_run
        return Document(found.fleet, self.settings, found.version)


class Eyes:
    """Looks as the settings in force say: other ones make other eyes.

    Args:
        files: The documents.
        made: Makes the eyes of settings; may raise a `StokerError` or an `OSError`.
    """

    def __init__(self, files: Files, made: Callable[[ControlSettings], Observer]) -> None:
        self._files = files
        self._made = made
        self._settings = files.settings
        self._observer = made(files.settings)
        self._problem = ""

    def observe(self, fleet: Fleet, deadline: float) -> Observation:
        """Return what can be seen until `deadline`, and what of the documents does not hold yet."""
        settings = self._files.settings
        if settings != self._settings:
            self._look_as(settings)
        seen = self._observer.observe(fleet, deadline)
        more = (*self._files.waiting, *((self._problem,) if self._problem else ()))
        return replace(seen, problems=(*seen.problems, *more)) if more else seen

    def _look_as(self, settings: ControlSettings) -> None:
        try:
            self._observer = self._made(settings)
        except (StokerError, OSError) as error:
            self._problem = f"signals are read as before: {error}"
            return
        self._settings, self._problem = settings, ""


def _waiting(begun: ControlSettings, asked: ControlSettings) -> Iterator[str]:
    changed = [
        *(f"cluster.{name}" for name in _held_fields(begun.cluster, asked.cluster)),
        *(name for name in ("lease", "records") if getattr(begun, name) != getattr(asked, name)),
    ]
    if changed:
        yield f"what changed of {', '.join(changed)} takes effect when the loop is started again"


def _held(begun: ControlSettings, asked: ControlSettings) -> ControlSettings:
    as_begun = {name: getattr(begun.cluster, name) for name in _names() if name not in _FOLLOWED}
    return replace(
        asked,
        cluster=replace(asked.cluster, **as_begun),
        lease=begun.lease,
        records=begun.records,
    )


def _held_fields(begun: ClusterSettings, asked: ClusterSettings) -> Iterator[str]:
    for name in _names():
        if name not in _FOLLOWED and getattr(begun, name) != getattr(asked, name):
            yield name


def _names() -> tuple[str, ...]:
    return tuple(ClusterSettings.__dataclass_fields__)
