"""The challenge's json, the requirements and the Dockerfile agree with the repository."""

import json
import re

from models.running.repository import ROOT


def requirement_lines(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def test_inference_requirements_are_pinned_lines_of_the_one_list():
    inference = requirement_lines("submission/requirements.txt")
    assert inference <= requirement_lines("requirements.txt")
    assert {line.split("==")[0] for line in inference} >= {"numpy", "soundfile", "torch", "safetensors"}


def test_every_direct_requirement_is_pinned():
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in requirement_lines(name):
            assert re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z]+\])?==[0-9][0-9a-z.]*", line), line


def test_aicrowd_json_declares_the_training_data():
    entry = json.loads((ROOT / "aicrowd.json").read_text())
    assert entry["challenge_id"] == "music-demixing-track-mdx-23"
    assert entry["authors"] and all(isinstance(author, str) for author in entry["authors"])
    # Neither of the challenge's own training sets was used, other music was: leaderboard C.
    assert (entry["labelnoise"], entry["bleeding"], entry["external_dataset_used"]) == (False, False, True)
    assert isinstance(entry["gpu"], bool) and entry["description"]


def test_the_dockerfile_copies_what_exists():
    sources = re.findall(r"^COPY (?:--\S+ )*(\S+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(sources) == 3
    assert all((ROOT / source).exists() for source in sources)
