"""The formats that stems are written in: wav and flac by libsndfile, mp3, m4a, ogg and opus by ffmpeg's encoders."""

from typing import NamedTuple


class SampleFormat(NamedTuple):
    """How libsndfile stores samples in a file."""

    extension: str
    container: str
    subtype: str
    sample_bytes: int


class EncodedFormat(NamedTuple):
    """How ffmpeg encodes a file.

    Attributes:
        extension: of the file.
        container: ffmpeg's name of its muxer.
        encoder: ffmpeg's arguments that choose the encoder and its quality.
        most_channels: that it holds.
        has_pictures: whether the muxer takes a cover as a stream; else it is a comment (Vorbis comments).
    """

    extension: str
    container: str
    encoder: tuple[str, ...]
    most_channels: int
    has_pictures: bool


FORMATS = {
    "wav16": SampleFormat(".wav", "WAV", "PCM_16", 2),
    "wav24": SampleFormat(".wav", "WAV", "PCM_24", 3),
    "wavfloat": SampleFormat(".wav", "WAV", "FLOAT", 4),
    "flac16": SampleFormat(".flac", "FLAC", "PCM_16", 2),
    "flac24": SampleFormat(".flac", "FLAC", "PCM_24", 3),
}
ENCODED = {
    "mp3": EncodedFormat(".mp3", "mp3", ("-c:a", "libmp3lame", "-b:a", "320k"), 2, True),
    "m4a": EncodedFormat(".m4a", "ipod", ("-c:a", "aac", "-b:a", "256k"), 8, True),
    "ogg": EncodedFormat(".ogg", "ogg", ("-c:a", "libvorbis", "-q:a", "8"), 8, False),
    "opus": EncodedFormat(".opus", "opus", ("-c:a", "libopus", "-b:a", "192k"), 8, False),
}
NAMES = (*FORMATS, *ENCODED)
"""Of all formats."""


def extension(name: str) -> str:
    """The extension of a format's files, with its dot."""
    return (FORMATS.get(name) or ENCODED[name]).extension


def step(name: str) -> float | None:
    """The distance of neighbouring sample values in a format, full scale 1; None if it does not round to a grid."""
    stored = FORMATS.get(name)
    return None if stored is None or stored.subtype == "FLOAT" else 2.0 ** (1 - 8 * stored.sample_bytes)
