"""Stoker plans GPU fleets that serve large language models.

This package holds the vocabulary (`stoker.domain`) and the command line (`stoker.cli`).
It must never hold mathematics, file formats or solver code: those have rooms of their own.
"""

__version__ = "0.1.0"
