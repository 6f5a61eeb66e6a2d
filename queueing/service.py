"""Service-time models: how long a request stays in service when n requests share the replica.

Two generations of parameters are in use: `linear` and `token-work`. Both give τ(n), the time in
service of a request with n in service, and turn the mean figures of an operating point into time to
first token (TTFT) and inter-token latency (ITL).

Symbols: L input tokens, K output tokens, N batch limit, α β γ δ the fitted parameters.
"""

from queueing.linear import LinearService
from queueing.service_model import Latencies, ServiceTimeModel
from queueing.token_work import DEFAULT_TOKEN_BUDGET, TokenWorkService

__all__ = [
    "DEFAULT_TOKEN_BUDGET",
    "Latencies",
    "LinearService",
    "ServiceTimeModel",
    "TokenWorkService",
]
