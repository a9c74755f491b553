"""Settings: the presets (.yaml files in this folder); code that reads, checks and overrides them and builds networks.

In: a preset's name or file, and overrides such as `train.lr=3e-4`. Out: a checked `Preset`, and its network.
"""
