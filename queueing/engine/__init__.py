"""Analysis `full`: a replica as its engine is, iteration by iteration.

Requests wait, join the running batch at iteration boundaries, share iterations with the prompts
of others, and stream their tokens at iteration ends. Means and percentiles of TTFT, ITL and E2E
for any lengths, arrivals, token budget and KV capacity, for all cases in one call.
"""
