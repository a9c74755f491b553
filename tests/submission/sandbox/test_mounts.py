"""The file system of a confined process; the machine's own mounts do not change."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.running.repository import ROOT
from submission.sandbox import mounts
from submission.sandbox import run as isolation
from submission.sandbox.mounts import confine


@pytest.mark.skipif(not isolation._can_confine(), reason="this machine allows no mount namespace")
def test_confining_a_process_does_not_change_the_mounts_of_others(tmp_path: Path):
    """Even if it shares its mount namespace with them; here the outer `unshare` plays the machine."""
    program = (
        "import os, sys; from submission.sandbox.mounts import confine; confine([sys.argv[1]], [os.getcwd()], []); "
        "open(sys.argv[1] + '/file', 'w'); open('/tmp/other', 'w')"
    )
    script = (
        'cat /proc/self/mountinfo > "$1/before"; "$2" -c "$3" "$1" || exit 1; cat /proc/self/mountinfo > "$1/after"'
    )
    outer = [word for word in isolation._namespace_command() if word not in ("--net", "--pid", "--kill-child")]
    outer = [*(word for word in outer if word not in ("--fork", "--mount-proc")), "--mount"]
    command = [*outer, "sh", "-c", script, "sh", str(tmp_path), sys.executable, program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()
    assert (tmp_path / "file").exists() and not Path("/tmp/other").exists()


def test_without_a_new_namespace_nothing_is_mounted(monkeypatch: pytest.MonkeyPatch):
    class Library:
        """Where `unshare` does not do what it says."""

        def unshare(self, flags: int) -> int:
            return 0

        def mount(self, *arguments: object) -> int:
            raise AssertionError("mounted in the machine's own namespace")

    monkeypatch.setattr(mounts, "_libc", Library)
    before = Path("/proc/self/mountinfo").read_text()
    with pytest.raises(OSError, match="nothing was mounted"):
        confine([os.getcwd()], [], [])
    assert Path("/proc/self/mountinfo").read_text() == before
