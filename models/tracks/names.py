"""Names of stems: those of MUSDB18, and what else may be one."""

from collections.abc import Sequence

STEMS = ("vocals", "drums", "bass", "other")
MOST_STEMS = 64
LONGEST_STEM_NAME = 64


def check_stems(stems: Sequence[str], setting: str) -> None:
    """Check that names can be a set of stems.

    Args:
        stems: the names, which become file names.
        setting: what the user set, for the message.

    Raises:
        ValueError: no name, a name given twice, an empty one, one that no file should have, or "mixture".
    """
    if not 1 <= len(stems) <= MOST_STEMS or len(set(stems)) != len(stems) or not all(map(_is_stem_name, stems)):
        shown = f"{list(stems)}" if len(f"{stems}") < 200 else f"{len(stems)} names"
        raise ValueError(
            f"{setting}: expected 1 to {MOST_STEMS} different names of up to {LONGEST_STEM_NAME} letters that can be "
            f"names of files, none of them mixture, got {shown}"
        )


def _is_stem_name(name: str) -> bool:
    is_file_name = name.isprintable() and not name.startswith(".") and not set("/\\") & set(name)
    return is_file_name and name.strip() == name != "mixture" and 1 <= len(name) <= LONGEST_STEM_NAME
