"""Studies: what takes many plans, or plans and simulations together.

Here planning meets simulation: the smallest fleet for a trace, backtests, sweeps over parameters.
This package must never hold a rule of planning (that is `optimizer`) or a formula (`queueing`),
and knows neither the terminal nor HTTP.
"""
