"""Why a plan is as it is: margins, runners-up, shadow prices, remedies, regret, differences.

Everything that depends on the whole fleet is found by placing it again on an edited table of
candidates or with edited capacity, through `optimizer.planner.place`, so that it holds for every
way of planning. Never predicts what the table knows; never decides anything; never reads a file.
"""
