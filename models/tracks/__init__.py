"""Music with known stems on disk, a track at a time; no audio is read before it is asked for.

In: a folder or file: MUSDB18 (`*.stem.mp4`), MUSDB18-HQ, or folders of track folders, and a split. Out: its `Track`s,
which give float32 stems [C, T]. `find` lists them; each kind of track has a file of its own.
"""

from models.tracks.find import SPLITS, default_data_root, open_tracks, shipped_excerpt
from models.tracks.folder import AUDIO_SUFFIXES, RENDER_FILE, FolderTrack
from models.tracks.names import STEMS, check_stems
from models.tracks.stem_file import STEM_FILE_SUFFIX, StemFileTrack
from models.tracks.track import Track

__all__ = [
    "AUDIO_SUFFIXES",
    "RENDER_FILE",
    "SPLITS",
    "STEMS",
    "STEM_FILE_SUFFIX",
    "FolderTrack",
    "StemFileTrack",
    "Track",
    "check_stems",
    "default_data_root",
    "open_tracks",
    "shipped_excerpt",
]
