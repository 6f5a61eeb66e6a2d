"""Set-up that every test shares: property-test profiles and the reference outputs."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.real_cluster import cards_given_back as cards_given_back  # for all tests
from tests.support.real_cluster import real_cluster as real_cluster

ROOT = Path(__file__).resolve().parent.parent
GOLDEN_DIR = ROOT.parent / "shared" / "golden"

# No deadlines: they measure the machine. "repeatable" draws the same examples in every run, so
# that a failure always belongs to the change under test; "search" draws new ones.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", deadline=None, print_blob=True, max_examples=1000)
# Terminals, and parallel test runs, set a width; output without one is what tests compare.
os.environ.pop("COLUMNS", None)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of reference outputs, which lies beside the repository, not in it."""
    if not GOLDEN_DIR.is_dir():
        pytest.skip(f"no reference outputs at {GOLDEN_DIR}")
    return GOLDEN_DIR
