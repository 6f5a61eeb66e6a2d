"""The server that is measured: what is known of it, and what one request to it shows."""

from __future__ import annotations

import http
import http.client
import json
import random
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from stoker.domain.errors import InvalidInputError, Problem

_TIMEOUT_S = 120.0
_PROBE_WORDS = 200
_PROBE_TOKENS = 16

WORDS = (
    *("time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world"),
    *("school", "state", "family", "student", "group", "country", "problem", "hand", "part"),
    *("place", "case", "week", "company", "system", "program", "question", "work", "number"),
    *("night", "point", "home", "water", "room", "mother", "area", "money", "story", "fact"),
    *("month", "lot", "right", "study", "book", "eye", "job", "word", "business", "issue"),
    *("side", "kind", "head", "house", "service", "friend", "father", "power", "hour", "game"),
)
"""What prompts are made of: common words, most of which are one token to most tokenizers."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is known of a server beside what it shows.

    Attributes:
        model: Name of the model that it serves.
        gpu: Its accelerator.
        n_gpus: How many of them.
        engine: Model server and version; None where not told.
        precision: Format of the weights; None where not told.
        max_batch: Most sequences in service; None where not told.
        token_budget: Most tokens computed in an iteration; None where not told.
    """

    model: str
    gpu: str
    n_gpus: int
    engine: str | None = None
    precision: str | None = None
    max_batch: int | None = None
    token_budget: int | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and what one request to it showed.

    Attributes:
        url: Its address, without `/v1`.
        model: The model to ask for.
        max_model_tokens: Most tokens of a request; None where it does not say.
        tokens_per_word: Tokens of its prompts for a word of `WORDS`.
        token_s: Time of one token for a lone client, at most.
        key: Bearer token; empty for none.
    """

    url: str
    model: str
    max_model_tokens: int | None
    tokens_per_word: float
    token_s: float
    key: str = ""


def probe(url: str, model: str | None = None, key: str = "") -> Server:
    """Ask a server what it serves, and how it counts and how fast it is in one request.

    Args:
        url: Its address.
        model: The model to ask for; None for the first that it names.
        key: Bearer token; empty for none.

    Raises:
        InvalidInputError: It cannot be reached, or does not answer as such servers do.
    """
    base = url.rstrip("/").removesuffix("/v1")
    listed = _exchange(base, "GET", "/v1/models", None, key)
    served = {str(entry["id"]): entry for entry in _entries(listed) if "id" in entry}
    if not served:
        raise _refused(base, "names no model under /v1/models")
    if model is not None and model not in served:
        message = f"{base} does not serve {model}"
        raise InvalidInputError([Problem("--served-model", message, ", ".join(served))])
    name = model or next(iter(served))
    length = served[name].get("max_model_len")
    asked = {
        "model": name,
        "prompt": prompt_of(_PROBE_WORDS, random.Random(0)),
        "max_tokens": _PROBE_TOKENS,
        "ignore_eos": True,
    }
    began_s = time.monotonic()
    answer = _exchange(base, "POST", "/v1/completions", asked, key)
    spent_s = time.monotonic() - began_s
    usage = answer.get("usage") if isinstance(answer, dict) else None
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if not isinstance(counted, int) or counted < 1:
        raise _refused(base, "tells no usage.prompt_tokens of a completion")
    return Server(
        base,
        name,
        length if isinstance(length, int) else None,
        counted / _PROBE_WORDS,
        spent_s / _PROBE_TOKENS,
        key,
    )


def prompt_of(words: int, draws: random.Random) -> str:
    """Return a prompt of so many words, unlike any other: no prefix cache will know it."""
    return " ".join(draws.choices(WORDS, k=words))


def _exchange(
    base: str, method: str, path: str, body: dict[str, object] | None, key: str
) -> object:
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInputError([Problem("URL", f"is {base!r}", "http://HOST:PORT")])
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, f"{parts.path}{path}", text, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise _refused(base, f"cannot be reached: {error}") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        shown = content[:200].decode(errors="replace")
        raise _refused(base, f"answers {path} with {answer.status}: {shown}")
    try:
        document: object = json.loads(content)
    except ValueError:
        raise _refused(base, f"answers {path} with what is not JSON") from None
    return document


def _entries(listed: object) -> list[dict[str, object]]:
    data = listed.get("data") if isinstance(listed, dict) else None
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def _refused(base: str, message: str) -> InvalidInputError:
    allowed = "a running server with OpenAI's completion endpoints"
    return InvalidInputError([Problem("URL", f"{base} {message}", allowed)])
