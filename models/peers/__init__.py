"""Other architectures, built from their own packages, for our trainer and our separator.

They serve a fair comparison: the original classes, trained on our data with our budget. Each package is imported only
when its network is built.

In: ``models.bsrnn``'s ``Estimate``. Out: a config and a network for each of Open-Unmix, Hybrid Demucs, SCNet and
Moises-Light.
"""

from models.peers.hdemucs import HDemucsConfig, HDemucsNetwork
from models.peers.moises_light import MoisesLightConfig, MoisesLightNetwork
from models.peers.openunmix import OpenUnmixConfig, OpenUnmixNetwork
from models.peers.scnet import SCNetConfig, SCNetNetwork

__all__ = [
    "HDemucsConfig",
    "HDemucsNetwork",
    "MoisesLightConfig",
    "MoisesLightNetwork",
    "OpenUnmixConfig",
    "OpenUnmixNetwork",
    "SCNetConfig",
    "SCNetNetwork",
]
