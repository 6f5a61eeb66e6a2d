"""The correction of the analysis: examples simulated, networks fitted to them, and a check."""
