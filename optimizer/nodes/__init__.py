"""Replicas of a plan on real nodes: a place for each, or why there is none.

`place.place_replicas` is the one entry. Cards of different types never meet, so each type is a
question of its own (`question`). Nodes that are alike are counted, not named, and a node is filled
in one of a few ways (`fillings`); how many nodes are filled in which way is an integer program
(`formulation`, `goals`), or at the time limit a best-fit-decreasing heuristic (`greedy`). Counts
become replicas with names at the end (`assign`); what does not fit is explained (`misfits`).

This room must never read a file or know where a plan came from.
"""
