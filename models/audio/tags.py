"""Tags and covers of songs: read with ffprobe from any file, and handed to ffmpeg for the files of the stems."""

import base64
import contextlib
import json
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_OF_THE_FILE = {
    *("encoder", "encoded_by", "vendor_id", "handler_name", "major_brand", "minor_version", "compatible_brands"),
    *("creation_time", "language", "metadata_block_picture", "waveformatextensible_channel_mask", "itunsmpb"),
    *("itunnorm", "duration"),
}
"""Tags that describe the song's file, not the song."""
_LEVELS = ("replaygain_", "r128_")
"""Tags of loudness: those of a mixture are wrong for its stems."""
_COVER_CODECS = {"mjpeg": "image/jpeg", "png": "image/png"}
_FRONT_COVER = 3


@dataclass(frozen=True)
class Tags:
    """What a song's file says of it."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case (title, artist, album, track, date, ...) and their texts."""
    cover: bytes = b""
    """An image file, empty if there is none."""
    cover_type: str = ""
    """image/jpeg or image/png."""


def read_tags(path: Path, with_cover: bool = True) -> Tags:
    """Read the tags of an audio or video file; empty ones if it has none, or if ffmpeg is not installed.

    Args:
        path: the file.
        with_cover: whether to read the cover too.
    """
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        return Tags()
    shown = "format_tags:stream=index,codec_type,codec_name:stream_disposition=attached_pic:stream_tags"
    command = ["ffprobe", "-v", "error", "-show_entries", shown, "-of", "json", f"file:{path}"]
    probe = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if probe.returncode != 0:
        return Tags()
    answer = json.loads(probe.stdout.decode(errors="replace"))
    streams = answer.get("streams", [])
    audio: dict = next((stream for stream in streams if stream.get("codec_type") == "audio"), {})
    values = {**_of_the_song(audio), **_of_the_song(answer.get("format", {}))}  # ogg files have tags of streams only
    for stream in streams if with_cover else ():
        cover_type = _COVER_CODECS.get(stream.get("codec_name", ""))
        if cover_type and stream.get("disposition", {}).get("attached_pic"):
            return Tags(values, _read_cover(path, stream["index"]), cover_type)
    return Tags(values)


def _of_the_song(part: Mapping) -> dict[str, str]:
    named = {name.lower(): str(text) for name, text in part.get("tags", {}).items()}
    return {
        name: text
        for name, text in named.items()
        if name not in _OF_THE_FILE and not name.startswith(_LEVELS) and text.strip()
    }


def _read_cover(path: Path, index: int) -> bytes:
    target = ["-map", f"0:{index}", "-c", "copy", "-frames:v", "1", "-f", "image2pipe", "-"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", *target]
    return subprocess.run(command, capture_output=True, check=False).stdout


@contextlib.contextmanager
def ffmpeg_tags(tags: Tags, first_input: int, has_pictures: bool) -> Iterator[tuple[list[str], list[str], list[int]]]:
    """Arguments with which ffmpeg writes tags and a cover into its output.

    They reach ffmpeg through files without names, so that nothing is left after a kill.

    Args:
        tags: of the song.
        first_input: number of ffmpeg's next input.
        has_pictures: whether the output's container takes the cover as a stream; else it becomes a comment.

    Yields:
        Arguments for inputs, arguments for the output, and the file descriptors to pass on. They are open until the
        block ends.
    """
    values = dict(tags.values)
    if tags.cover and not has_pictures:
        values["METADATA_BLOCK_PICTURE"] = _picture_block(tags)
    text = ";FFMETADATA1\n" + "".join(f"{_escaped(name)}={_escaped(value)}\n" for name, value in values.items())
    with contextlib.ExitStack() as files:
        source = _nameless(files, text.encode(errors="replace"))
        inputs = ["-f", "ffmetadata", "-i", f"pipe:{source.fileno()}"]
        outputs = ["-map_metadata", str(first_input)]
        passed = [source.fileno()]
        if tags.cover and has_pictures:
            cover = _nameless(files, tags.cover)
            kind = "png_pipe" if tags.cover_type == "image/png" else "jpeg_pipe"
            inputs += ["-f", kind, "-i", f"pipe:{cover.fileno()}"]
            outputs += ["-map", f"{first_input + 1}:v", "-c:v", "copy", "-disposition:v:0", "attached_pic"]
            passed.append(cover.fileno())
        yield inputs, outputs, passed


def _nameless(files: contextlib.ExitStack, content: bytes) -> IO[bytes]:
    file = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
    file.write(content)
    file.seek(0)
    return file


def _escaped(text: str) -> str:
    """A text as ffmpeg's metadata format has it."""
    return "".join(f"\\{char}" if char in "=;#\\\n" else char for char in text.replace("\r\n", "\n").replace("\0", ""))


def _picture_block(tags: Tags) -> str:
    """A cover as a Vorbis comment: a FLAC picture block in base64.

    Source: RFC 9639, section 8.8; sizes and colours are 0, which means unknown.
    """
    kind = tags.cover_type.encode()
    head = struct.pack(">II", _FRONT_COVER, len(kind)) + kind + struct.pack(">I", 0)
    return base64.b64encode(head + struct.pack(">IIIII", 0, 0, 0, 0, len(tags.cover)) + tags.cover).decode()
