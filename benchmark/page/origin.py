"""Where the page's figures come from: failures, notes, and what is needed to make or to cite them."""

import re
from collections.abc import Iterable
from typing import Any

from benchmark.page.contents import Contents
from benchmark.tables.summary import measured_on
from models.running.hashes import names_and_hashes
from models.tracks import STEMS

REFERENCES = {
    "mdx": """@article{fabbro2024sound,
  title   = {The Sound Demixing Challenge 2023 -- Music Demixing Track},
  author  = {Fabbro, Giorgio and Uhlich, Stefan and Lai, Chieh-Hsin and others},
  journal = {Transactions of the International Society for Music Information Retrieval},
  year    = {2024},
  note    = {arXiv:2308.06979}
}""",
    "bsseval": """@inproceedings{stoter2018sisec,
  title     = {The 2018 Signal Separation Evaluation Campaign},
  author    = {St{\\"o}ter, Fabian-Robert and Liutkus, Antoine and Ito, Nobutaka},
  booktitle = {Latent Variable Analysis and Signal Separation},
  year      = {2018},
  note      = {arXiv:1804.06267}
}""",
    "musdb": """@misc{rafii2017musdb18,
  title  = {The {MUSDB18} corpus for music separation},
  author = {Rafii, Zafar and Liutkus, Antoine and St{\\"o}ter, Fabian-Robert and Mimilakis, Stylianos Ioannis
            and Bittner, Rachel},
  year   = {2017},
  doi    = {10.5281/zenodo.1117372}
}""",
    "bsrnn": """@article{luo2023bsrnn,
  title   = {Music Source Separation With Band-Split {RNN}},
  author  = {Luo, Yi and Yu, Jianwei},
  journal = {IEEE/ACM Transactions on Audio, Speech, and Language Processing},
  year    = {2023},
  note    = {arXiv:2209.15174}
}""",
}
"""What a reader of the page may have to cite: the global SDR, BSSEval v4, the data, the network."""


def notes(contents: Contents) -> list[str]:
    """Notes for readers of the figures."""
    lines = [f"{system.label}: {system.row['note']}" for system in contents.systems if system.row["note"]]
    lines += [
        f"{system.label}: only {', '.join(system.row['stems'])} scored"
        for system in contents.systems
        if not set(STEMS) <= set(system.row["stems"])
    ]
    nan_frames, num_frames = max(count for system in contents.systems for count in system.row["frames"].values())
    if nan_frames:
        lines.append(
            f"Up to {nan_frames} of {num_frames} frames have a silent stem; museval leaves such a frame out of the cSDR"
            " of all stems that are scored together"
        )
    lines.append(
        "Scores of frames depend on which stems are scored together. Vocals are scored with all four stems in one"
        " table, and with only the accompaniment in another, for comparison with systems of two stems"
    )
    return lines


def failures(contents: Contents) -> list[str]:
    """A line for each failure, and one for missing results."""
    lines = [
        f"{failure.system}, {failure.track or 'every track left'}: {failure.reason}"
        for failure in contents.record.failures
    ]
    if contents.missing > len(lines):
        lines.append(f"{contents.missing} of {len(contents.record.keys)} results are missing: the run is not finished")
    return lines


def music(contents: Contents) -> str:
    """The music of the run in a line."""
    minutes = max(system.row["audio_s"] for system in contents.systems) / 60
    num_tracks = len(contents.tracks)
    return f"{contents.record.data}: {num_tracks} track{'' if num_tracks == 1 else 's'}, {minutes:.1f} min"


def dates(contents: Contents) -> str:
    """The day of the measurements, or the first and the last."""
    days = sorted({system.row[name][:10] for system in contents.systems for name in ("first_date", "last_date")})
    return " to ".join(dict.fromkeys((days[0], days[-1])))


def data_hash(contents: Contents) -> str:
    """One hash of the run's music: of the split, the name and the files of every track; equal runs have equal music."""
    tracks = {(key["split"], key["track"]): key["audio"] for key in contents.record.keys}
    return names_and_hashes((f"{split}/{name}", content) for (split, name), content in sorted(tracks.items()))


def facts(contents: Contents) -> dict[str, str]:
    """The footer: music, its hash, machine, commit, command and versions, by name."""
    results = [result for system in contents.systems for result in system.results.values()]
    packages: dict[str, list[str]] = {}
    for result in results:
        for name, version in result["key"].get("packages", {}).items():
            packages.setdefault(name, []).append(version)
    versions = [f"Python {_different(result['measured']['python'] for result in results)}"]
    versions += [f"{name} {_different(found)}" for name, found in sorted(packages.items())]
    return {
        "Music": music(contents),
        "Data hash": f"{data_hash(contents)} (SHA-256 of every file of the tracks)",
        "Measured": dates(contents),
        "Machine": measured_on(system.row for system in contents.systems),
        "Commit": _different(result["measured"]["commit"] or "unknown" for result in results),
        "Command": _different(result["measured"]["command"] or "unknown" for result in results),
        "Versions": ", ".join(versions),
    }


def _different(values: Iterable[Any]) -> str:
    return " and ".join(dict.fromkeys(map(str, values)))


def bibtex(contents: Contents) -> str:
    """Entries for a paper that cites this page: the run itself, the metrics, and what of data and network it used."""
    named = facts(contents)
    year = dates(contents)[-10:-6]
    note = f"{named['Music']}; data hash {data_hash(contents)}; commit {named['Commit']}; measured {named['Measured']}"
    entries = [
        "@misc{bandsplit_benchmark,\n"
        f"  title = {{Music demixing benchmark on {_bibtex(contents.record.data)}}},\n"
        f"  note  = {{{_bibtex(note)}}},\n"
        f"  year  = {{{year}}}\n}}",
        REFERENCES["mdx"],
        REFERENCES["bsseval"],
    ]
    if "musdb" in contents.record.data.lower():
        entries.append(REFERENCES["musdb"])
    if any(system.name.startswith("bsrnn") for system in contents.systems):
        entries.append(REFERENCES["bsrnn"])
    return "\n\n".join(entries)


def _bibtex(text: str) -> str:
    """A text without what has a meaning in BibTeX or LaTeX."""
    kept = "".join(character for character in text if character not in "{}\\^~")
    return re.sub(r"[&%$#_]", r"\\\g<0>", kept)
