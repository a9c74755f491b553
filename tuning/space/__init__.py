"""Search spaces (the .yaml files in `spaces/`), each trial's budget, and the plan of a search.

In: spaces, overrides, a budget. Out: a list of checked cells, saved as the plan.
"""
