"""Inferno's system data: read with keys in any case, and written in the reference's spelling.

Money is in cents per hour there and rates are per minute; both convert exactly. This package
must never plan and never keep a system between calls.
"""

from data.inferno.from_fleet import (
    fleet_to_system,
    load_to_inferno,
    server_to_inferno,
    system_of,
)
from data.inferno.reading import parse_one, parse_system, read_system
from data.inferno.schema import (
    InfernoAccelerator,
    InfernoAccelerators,
    InfernoAllocation,
    InfernoCapacities,
    InfernoCount,
    InfernoDecode,
    InfernoDocument,
    InfernoLoad,
    InfernoModel,
    InfernoModelPerf,
    InfernoModels,
    InfernoOptimizer,
    InfernoOptimizerData,
    InfernoPerf,
    InfernoPower,
    InfernoPrefill,
    InfernoServer,
    InfernoServers,
    InfernoServiceClass,
    InfernoServiceClasses,
    InfernoSystem,
    InfernoTarget,
    to_json,
)
from data.inferno.to_fleet import settings_of, system_to_fleet

__all__ = [
    "InfernoAccelerator",
    "InfernoAccelerators",
    "InfernoAllocation",
    "InfernoCapacities",
    "InfernoCount",
    "InfernoDecode",
    "InfernoDocument",
    "InfernoLoad",
    "InfernoModel",
    "InfernoModelPerf",
    "InfernoModels",
    "InfernoOptimizer",
    "InfernoOptimizerData",
    "InfernoPerf",
    "InfernoPower",
    "InfernoPrefill",
    "InfernoServer",
    "InfernoServers",
    "InfernoServiceClass",
    "InfernoServiceClasses",
    "InfernoSystem",
    "InfernoTarget",
    "fleet_to_system",
    "load_to_inferno",
    "parse_one",
    "parse_system",
    "read_system",
    "server_to_inferno",
    "settings_of",
    "system_of",
    "system_to_fleet",
    "to_json",
]
