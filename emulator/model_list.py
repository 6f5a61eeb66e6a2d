"""Which model a server serves."""

from __future__ import annotations

import http.client
import json
from dataclasses import replace

from emulator.http_load import Target
from stoker.domain.errors import InvalidInputError, Problem

_TIMEOUT_S = 30.0


def served_model(target: Target) -> Target:
    """Return a target with the model that its server names first.

    Raises:
        InvalidInputError: It cannot be reached, or names none.
    """
    kind = http.client.HTTPSConnection if target.secure else http.client.HTTPConnection
    where = f"{target.host}:{target.port}"
    headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    connection = kind(target.host, target.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", f"{target.path}/v1/models", headers=headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        return replace(target, model=str(document["data"][0]["id"]))
    except (OSError, http.client.HTTPException) as error:
        raise _refused(where, f"cannot be reached: {error}") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise _refused(where, "names no model under /v1/models") from error
    finally:
        connection.close()


def _refused(where: str, message: str) -> InvalidInputError:
    return InvalidInputError(
        [Problem("URL", f"{where} {message}", "a running server with OpenAI's endpoints")]
    )
