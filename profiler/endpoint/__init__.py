"""Profiles of servers that are measured from outside, over HTTP, with GuideLLM.

GuideLLM makes the load and times the tokens; what is here chooses the few operating points that
tell the parameters of a service-time model, writes rows as they come, and stops when the
predictions are known well enough. This package must never time a token itself, nor know a
terminal.
"""

from profiler.endpoint.campaign import Campaign, Progress, Verdict
from profiler.endpoint.guidellm_runs import GuideLlmRuns, MissingGuideLlmError, RunFailedError
from profiler.endpoint.operating_points import Grid, OperatingPoint
from profiler.endpoint.server import Deployment, Server, probe

__all__ = [
    "Campaign",
    "Deployment",
    "Grid",
    "GuideLlmRuns",
    "MissingGuideLlmError",
    "OperatingPoint",
    "Progress",
    "RunFailedError",
    "Server",
    "Verdict",
    "probe",
]
