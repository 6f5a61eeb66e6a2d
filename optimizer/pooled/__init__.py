"""Plans over pools of cards, with limits on the whole and several objectives.

Takes a candidate table and what a fleet says of pools, limits and objectives, and decides how many
replicas of which row stand in which pool. Sees a solver through `optimizer.solver` alone; knows
neither files nor the terminal, and predicts nothing itself.
"""
