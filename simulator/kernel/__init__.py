"""The event loop of the simulation, compiled by numba where it is installed.

The state is a handful of arrays (`layout`); each module here holds one idea of what moves them.
Between two events (an arrival that can be admitted, a completion, a prefill, memory running out)
decode iterations advance in closed form: their times are an arithmetic series of the growing
context.

Functions here must never allocate by the request, nor depend on anything but the arrays.
"""
