"""What an endpoint is: an address, its documentation, and a function from call to reply.

Knows nothing of the HTTP library, so that the endpoints are plain functions and the
documentation cannot drift from what is served.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Generic, Literal, TypeAlias, TypeVar

from api.services import Services

JSON = "application/json"

JsonSchema: TypeAlias = Mapping[str, object]

Parts = TypeVar("Parts")
"""What the endpoints of an application work with."""


class Place(Enum):
    """Where an endpoint computes."""

    EVENT_LOOP = "event loop"
    """At once: nothing but a look-up."""
    QUESTION = "question"
    """In a thread, within the bounds of short computations."""
    SOLVE = "solve"
    """In a thread, within the bounds of solves."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        path: Path parameters by name.
        query: Query parameters by name; the last one wins where a name is repeated.
        body: The body as it came.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        content: JSON value, or bytes that are sent as they are.
        status: HTTP status.
        media_type: Content type.
    """

    content: object
    status: HTTPStatus = HTTPStatus.OK
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Parameter:
    """A path or query parameter, for the documentation.

    Attributes:
        name: Its name.
        description: What it means.
        example: A value.
        schema: JSON Schema of its values.
        place: Whether it stands in the path or in the query.
    """

    name: str
    description: str
    example: object
    schema: JsonSchema = field(default_factory=lambda: {"type": "string", "minLength": 1})
    place: Literal["path", "query"] = "path"


@dataclass(frozen=True, slots=True)
class Content:
    """A body, for the documentation.

    Attributes:
        description: What it is.
        schema: JSON Schema; nested definitions under ``$defs``.
        examples: Examples by name.
        media_type: Content type.
        required: Whether a request must have it.
    """

    description: str
    schema: JsonSchema
    examples: Mapping[str, object]
    media_type: str = JSON
    required: bool = True


@dataclass(frozen=True, slots=True)
class EndpointOn(Generic[Parts]):
    """A method at an address.

    Attributes:
        method: HTTP method.
        path: Path with parameters in braces, e.g. ``/getServer/{name}``.
        answer: Computes the reply; raises `RequestRefusedError` or a `StokerError` to refuse.
        place: Where it computes.
        tag: Group in the documentation.
        summary: What it does, in a few words.
        reply: What it answers.
        description: More, where there is more to say.
        parameters: Path and query parameters.
        body: The body that it reads; None where it reads none.
        refusals: Statuses of the problem documents that it may answer beside those of all
            endpoints.
        changes_state: Whether it is left out of a stateless service.
        success: Status of its replies.
    """

    method: Literal["GET", "POST"]
    path: str
    answer: Callable[[Parts, Call], Reply]
    place: Place
    tag: str
    summary: str
    reply: Content
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Content | None = None
    refusals: tuple[HTTPStatus, ...] = ()
    changes_state: bool = False
    success: HTTPStatus = HTTPStatus.OK

    @property
    def operation_id(self) -> str:
        """A name of its own for each endpoint, e.g. ``get_server_name``, ``v1_plan``."""
        words = re.findall(r"\w+", self.path)
        return "_".join(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower() for word in words)


@dataclass(frozen=True, slots=True)
class Endpoint(EndpointOn[Services]):
    """An endpoint of the service that plans."""
