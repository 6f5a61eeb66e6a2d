"""The control loop: observe, forecast, plan, act, and record, period after period.

Everything that touches the world comes in through ports (Protocols) and an injected clock; state
is passed in and out. This package must never import a concrete adapter (`collector`, `actuator`)
or another face (`api`), never read a clock that was not given to it, and never scale down on
what is unknown.
"""
