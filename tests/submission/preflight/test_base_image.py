"""The Python version of the base image: read from its name, and found if it is too old."""

import importlib.metadata
from pathlib import Path

import pytest

from submission.preflight.base_image import check_python, python_of
from submissions import ROOT

NUMPY = f"numpy=={importlib.metadata.version('numpy')}\n"


@pytest.mark.parametrize(
    ("image", "steps", "expected"),
    [
        ("ubuntu:20.04", "apt-get install -y python3", (3, 8)),
        ("nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04", "", (3, 12)),
        ("python:3.9-slim-bookworm", "", (3, 9)),
        ("registry.example/library/python:3.11", "", (3, 11)),
        ("debian:bookworm-slim", "", (3, 11)),
        ("debian:11", "", (3, 9)),
        # The kit's own example.
        (
            "nvidia/cuda:11.7.0-cudnn8-runtime-ubuntu18.04",
            "wget https://repo.anaconda.com/miniconda/Miniconda3-py38_22.11.1-1-Linux-x86_64.sh",
            (3, 8),
        ),
        ("ubuntu:22.04", "apt install -y python3.12-venv python3.12", (3, 12)),
        ("continuumio/miniconda3", "conda create -n x python=3.10", (3, 10)),
        ("ubuntu:22.04", "uv python install 3.13", (3, 13)),
        ("pytorch/pytorch:latest", "apt install python3 python3-venv", None),
    ],
)
def test_python_of_an_image(image: str, steps: str, expected: tuple[int, int] | None):
    assert python_of(image, steps) == expected


def check(root: Path, dockerfile: str, requirements: str = NUMPY) -> tuple[list[str], list[str]]:
    (root / "Dockerfile").write_text(dockerfile)
    (root / "requirements.txt").write_text(requirements)
    findings, notes = check_python(root)
    return [f"{finding.where}: {finding.what}" for finding in findings], notes


def test_a_python_too_old_for_a_pinned_requirement_is_found(tmp_path: Path):
    needs = importlib.metadata.metadata("numpy")["Requires-Python"]
    findings, _ = check(tmp_path, "# a\nFROM ubuntu:20.04\nRUN apt install python3\n")
    assert findings == [f"Dockerfile:2: Python 3.8 of ubuntu:20.04: {NUMPY.strip()} needs Python {needs}"]
    assert check(tmp_path, "FROM ubuntu:24.04\n") == ([], [])
    assert check(tmp_path, "FROM ubuntu:20.04\n", "numpy\nnot a requirement\nnowhere-to-be-found==1\n") == ([], [])


def test_a_python_too_old_for_the_syntax_is_found(tmp_path: Path):
    (tmp_path / "code.py").write_text("match 1:\n    case 1:\n        pass\n")
    (tmp_path / "broken.py").write_text("match (\n")
    findings, _ = check(tmp_path, "FROM python:3.9\n", "")
    assert len(findings) == 1 and "Python 3.9 of python:3.9: code.py:3 needs a newer Python" in findings[0]
    assert check(tmp_path, "FROM python:3.10\n", "") == ([], [])


def test_stages_and_arguments(tmp_path: Path):
    argument = "ARG BASE=ubuntu:20.04\nFROM ${BASE} AS base\nRUN apt install python3\n"
    assert len(check(tmp_path, argument)[0]) == 1
    assert len(check(tmp_path, f"{argument}FROM base\nRUN true\n")[0]) == 1
    assert check(tmp_path, f"{argument}FROM --platform=linux/amd64 ubuntu:24.04\nRUN true\n") == ([], [])
    assert check(tmp_path, f"{argument}RUN apt install python3.12\nFROM base AS last\n") == ([], [])


def test_an_unknown_image_is_a_note_and_no_dockerfile_is_nothing(tmp_path: Path):
    findings, (note,) = check(tmp_path, "FROM pytorch/pytorch:latest\n")
    assert not findings and "Python of the base image pytorch/pytorch:latest is not known here" in note
    assert check(tmp_path, "# nothing\n") == ([], [])
    (tmp_path / "Dockerfile").unlink()
    assert check_python(tmp_path) == ([], [])


def test_the_image_of_this_repository_has_no_finding(tmp_path: Path):
    dockerfile = (ROOT / "Dockerfile").read_text()
    requirements = (ROOT / "submission/requirements.txt").read_text()
    assert check(tmp_path, dockerfile, requirements) == ([], [])
    older, _ = check(tmp_path, dockerfile.replace("ubuntu24.04", "ubuntu22.04"), requirements)
    assert len(older) == 1 and "Python 3.10 of nvidia/cuda" in older[0]
