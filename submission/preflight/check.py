"""Runs all pre-flight checks: what would make the grader fail a submission, or silently score it low."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from submission.grader.session import Grader, wants_gpu
from submission.package.build import build, is_source
from submission.preflight.answers import MUSIC_S, check_behaviour
from submission.preflight.base_image import check_python
from submission.preflight.dockerfile import check_dockerfile
from submission.preflight.files import check_files
from submission.preflight.findings import Finding
from submission.preflight.gpu_time import cost_notes
from submission.preflight.real_music import LONG_S, check_real_music
from submission.preflight.requirements import check_requirements
from submission.sandbox.run import network_barrier


def check(submission: Path, music_s: float = MUSIC_S, long_s: float = LONG_S) -> tuple[list[Finding], list[str]]:
    """Check a submission.

    Args:
        submission: a package or another checkout of the kit; or a Bandsplit repository, whose package is checked.
        music_s: length of the synthetic music that it must separate in time, seconds.
        long_s: length of the longest track, seconds.

    Returns:
        The findings, and notes for information.

    Raises:
        FileNotFoundError: `submission` is none of these.
    """
    if is_source(submission):
        with tempfile.TemporaryDirectory(prefix="bandsplit-submission-") as folder:
            root = Path(folder).resolve()
            missing = build(submission.resolve(), root)
            missing = [path for path in missing if not path.startswith("checkpoints/")]  # check_files reports those
            absent = [Finding("the file is missing", path, "restore it: the package needs it") for path in missing]
            findings, notes = _check_root(root, music_s, long_s)
            return absent + [finding for finding in findings if finding.where not in missing], notes
    if not (submission / "my_submission/user_config.py").is_file():
        raise FileNotFoundError(
            f"{submission}: no submission here: expected my_submission/user_config.py, or a Bandsplit repository"
        )
    return _check_root(submission.resolve(), music_s, long_s)


def _check_root(root: Path, music_s: float, long_s: float) -> tuple[list[Finding], list[str]]:
    requirements, notes = check_requirements(root)
    findings = [*check_files(root), *requirements, *check_dockerfile(root)]
    image, doubts = check_python(root)
    behaviour, more = check_behaviour(root, music_s, wants_gpu(root))
    notes += [*doubts, *cost_notes(root), *more]
    if behaviour:
        notes.append("not tried on real music: fix its behaviour first")
    else:
        behaviour, more = check_real_music(root, Grader(), long_s=long_s)
        notes += more
    return [*findings, *image, *behaviour], [*notes, f"off the network by: {network_barrier()}"]


def render(findings: Sequence[Finding], notes: Sequence[str]) -> str:
    """The report: the findings, each with what to do, then the notes and the verdict."""
    lines = [*map(str, findings), *(f"note: {note}" for note in notes)]
    verdict = f"{len(findings)} found: fix them before the push" if findings else "nothing found"
    return "\n".join([*lines, verdict])
