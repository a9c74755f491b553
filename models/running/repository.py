"""Where this code lies: the repository, or the folder of a package that holds a part of it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
