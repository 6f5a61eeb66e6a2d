"""Planning over a horizon: commitments, on-demand and spot cards, and replicas by hour.

`plan.plan_horizon` is the one entry. A fleet and its hourly demand become counts of replicas
(`needs`), those with prices and limits a question (`question`), which knows neither fleets nor
models. Small questions are one integer program (`straight`); large ones are decomposed by server:
the cheapest schedule of each at given prices of cards is found by dynamic programming (`pricing`),
the prices and the final choice by linear and integer programs over schedules (`columns`).
`baselines` are what the answer is compared with; `outlay` prices any set of schedules.

This room must never read a file, and knows no clock but the one that it is given.
"""
