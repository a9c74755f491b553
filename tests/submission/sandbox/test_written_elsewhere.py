"""Files written besides the predictions: folders before and after, and what Python opens for writing."""

import os
import subprocess
import sys
from pathlib import Path

from submission.sandbox.written_elsewhere import Snapshot

WATCH = """
import os, sys
from submission.sandbox.written_elsewhere import WriteWatch
watch = WriteWatch()
for name in sys.argv[1:]:
    try:
        open(name, "a").close()
    except OSError:
        pass
open(sys.executable, "rb").close()
os.close(os.open(sys.argv[1] + "2", os.O_CREAT | os.O_WRONLY))
os.open("relative.txt", os.O_RDONLY | os.O_CREAT)
print(*watch.paths, sep="\\n")
"""


def test_a_snapshot_lists_new_and_changed_files_once(tmp_path: Path):
    (tmp_path / "a/.git").mkdir(parents=True)
    (tmp_path / "a/old.txt").write_text("x")
    snapshot = Snapshot([tmp_path / "a", tmp_path / "absent"])
    assert snapshot.changes() == []
    (tmp_path / "a/new.txt").write_text("x")
    (tmp_path / "a/.git/index").write_text("x")
    (tmp_path / "a/old.txt").write_text("xy")
    (tmp_path / "outside.txt").write_text("x")
    assert snapshot.changes() == [str(tmp_path / "a/new.txt"), str(tmp_path / "a/old.txt")]
    (tmp_path / "a/new.txt").unlink()
    assert snapshot.changes() == []


def test_files_opened_for_writing_outside_temporary_folders_and_predictions_are_recorded(tmp_path: Path):
    for name in ("home", "shared/predictions", "work"):
        (tmp_path / name).mkdir(parents=True)
    names = ["work/a", "work/a", "home/b", "shared/predictions/c", "shared/d", "nowhere/e"]
    run = subprocess.run(
        [sys.executable, "-c", WATCH, *(str(tmp_path / name) for name in names), "/dev/null"],
        env={
            **os.environ,
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "home"),
            "AICROWD_PUBLIC_SHARED_DIR": str(tmp_path / "shared"),
        },
        cwd=tmp_path / "work",
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [tmp_path / name for name in ("work/a", "shared/d", "nowhere/e", "work/a2", "work/relative.txt")]
    assert run.stdout.splitlines() == [str(path.resolve()) for path in expected]
