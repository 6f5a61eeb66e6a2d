"""Pure mathematics of one model replica: service times, the queue, sizing, batch search.

Every function works on arrays: one row is one case (a server on an accelerator), and one call
evaluates all of them. Rates are requests per second, times milliseconds, lengths tokens.

This package reads no clock, no file and no setting, writes no log, and knows nothing of fleets,
costs or formats. It needs numpy and scipy alone. Inputs that make no sense never raise from
here: their rows come back with ``valid`` false, and the caller says what was wrong.
"""
