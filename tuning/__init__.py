"""The search over band splits, sizes and settings, and the ablations.

In: a preset, settings to vary and a budget. Out: trained trials and what may be concluded. Command: `python -m tuning`.
"""
