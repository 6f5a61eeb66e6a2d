"""The time of one iteration of the engine, for every kind of service-time parameters.

`token-work` (`TokenWorkParameters`) is a closed form of the state: alpha + beta * tokens computed
+ gamma * KV tokens read.

`linear` (`LinearParameters`) speaks of whole requests. Played iteration by iteration: alpha + beta
* d where d > 0 sequences decode, and for every chunk of a prompt gamma * (its share of the tokens
to compute) + delta * (its tokens) * n, with n all sequences in service in that iteration. So a
prompt adds gamma + delta * L * n in all, as the formula says, and an iteration of prefills alone
costs no alpha.

`curve` (`IterationTable`) holds measured curves: decode time over batch and mean context, prefill
time over tokens and context read.

`overlap` (`OverlapParameters`): base + the larger of reading weights and computing tokens, taken
smoothly, and what sequences, KV, attention and prompts add. The tokens of a request are with its
reader later than their iterations end, all by the delay of the first one; a client of a closed
loop sends its next request when it has the last token. That delay takes no engine time.
"""

from __future__ import annotations

from stoker.domain.curve import IterationTable, tabulate
from stoker.domain.profile import ServiceParameters

__all__ = ["IterationModel", "IterationTable", "tabulate"]

IterationModel = ServiceParameters
"""What can tell the time of an iteration."""
