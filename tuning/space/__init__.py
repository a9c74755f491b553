"""What a search tries: the grid of settings (the .yaml files in `spaces/`), each trial's budget, the whole plan.

In: spaces, overrides, a budget. Out: a list of checked cells, saved as the plan.
"""
