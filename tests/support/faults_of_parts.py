"""The faults of the parts that the loop needs: Prometheus, pods, the API server, rights, cards."""

from __future__ import annotations

from tests.support.faults_of_api_server import API_SERVER
from tests.support.faults_of_plans import CAPACITY, PLANNING
from tests.support.faults_of_rights import RIGHTS
from tests.support.faults_of_signals import SIGNALS

FAULTS = (*SIGNALS, *API_SERVER, *RIGHTS, *CAPACITY, *PLANNING)
