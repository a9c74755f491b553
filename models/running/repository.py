"""The folder of this code: the repository, or a submission package with a part of it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
