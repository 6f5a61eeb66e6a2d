"""Who may ask and who may order: a bearer token, or the machine itself.

Without a token, orders are taken from the loopback alone, and from no browser and no proxy: a page
of the web can make a browser call any address of its machine, and behind a proxy everybody seems to
be the machine itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from api.problems import ProblemType, RequestRefusedError
from stoker.domain.errors import StokerError

OPEN_PATHS = frozenset({"/metrics", "/health", "/openapi.json"})
"""What everybody may read who reaches the address: they tell Prometheus and kubelets."""

_ITSELF = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
_FROM_ELSEWHERE = ("origin", "forwarded", "x-forwarded-for", "x-real-ip", "via")
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        address: The address that the request comes from; empty for unknown.
        headers: Its headers, with names in lower case.
    """

    address: str
    headers: Mapping[str, str]


class Access:
    """Decides whether a request is answered.

    Args:
        token: Returns the token that is wanted, as it is now; None where none is.
    """

    def __init__(self, token: Callable[[], str] | None) -> None:
        self._token = token

    def check(self, path: str, caller: Caller, *, writes: bool) -> None:
        """Refuse a request that must not be answered.

        Raises:
            RequestRefusedError: 401 without the right token, 403 for orders from elsewhere where
                no token is set, 503 where the token cannot be read.
        """
        if path in OPEN_PATHS and not writes:
            return
        if self._token is not None:
            _check_token(self._token, caller)
        elif writes:
            _check_place(caller)


def _check_token(wanted: Callable[[], str], caller: Caller) -> None:
    try:
        token = wanted()
    except (OSError, StokerError) as error:
        reason = getattr(error, "strerror", None) or error
        detail = f"the token of the service cannot be read: {reason}"
        raise RequestRefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE, ProblemType.NOT_READY, detail
        ) from error
    header = caller.headers.get("authorization", "")
    given = header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else ""
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        detail = (
            "the token is not that of this service"
            if given
            else "this service wants a token: Authorization: Bearer TOKEN"
        )
        raise RequestRefusedError(
            HTTPStatus.UNAUTHORIZED,
            ProblemType.UNAUTHORIZED,
            detail,
            headers={"WWW-Authenticate": "Bearer"},
        )


def _check_place(caller: Caller) -> None:
    way = next((name for name in _FROM_ELSEWHERE if name in caller.headers), "")
    if caller.address in _ITSELF and not way:
        return
    where = f"with the header {way}" if way else f"from {caller.address or 'an unknown address'}"
    raise RequestRefusedError(
        HTTPStatus.FORBIDDEN,
        ProblemType.FORBIDDEN,
        f"orders are taken from the loopback of the loop's machine alone, and this one comes "
        f"{where}; for others, start the loop with --token-file",
    )
