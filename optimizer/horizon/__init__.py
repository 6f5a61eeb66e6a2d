"""Planning over a horizon: commitments, on-demand and spot cards, and replicas by hour.

`plan.plan_horizon` is the one entry. A fleet and its hourly demand become counts of replicas
(`needs`), those with prices and limits a question (`question`), which knows neither fleets nor
models. Small questions are one integer program (`straight`); large ones are decomposed by server
(`decomposition`): the cheapest schedule of each at given prices of cards is found by dynamic
programming (`pricing`), good prices by climbing (`ascent`), the choice among schedules by an
integer program (`restricted`). `serving` says whom the cards suffice for; `baselines` are what the
answer is compared with; `outlay` prices any set of schedules.

This room must never read a file, and knows no clock but the one that it is given.
"""
