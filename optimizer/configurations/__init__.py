"""Configurations: several ways to run a model on an accelerator, as candidates of a server.

A row of the candidate table is a server on an accelerator, with one profile of its model there
(`layout`), one batch limit, and one way of serving: aggregated, or split between a prefill and a
decode pool (`splits`).
"""
