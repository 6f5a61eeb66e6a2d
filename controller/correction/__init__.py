"""Correction of profiles from the latencies that are observed: learned slowly, applied with care.

A profile's factors are learned by an extended Kalman filter (`learning`, on the arithmetic of
`gaussian`), from what runs say (`evidence`) against what the analysis predicts (`prediction`).
They are applied to what is planned only where they are known well (`applying`).
"""
