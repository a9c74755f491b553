"""Other architectures for a fair comparison: their packages' own classes, imported when a network is built.

In: a peer's config. Out: its network, for our trainer and our separator.
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
