"""Settings: every preset (the .yaml files here), how it is read, checked and overridden, and the network that it names.

In: a preset's name or file, and overrides such as `train.lr=3e-4`. Out: a checked `Preset`, and its network.
"""
