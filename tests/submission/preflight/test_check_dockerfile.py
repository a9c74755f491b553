"""The pre-flight check of the Dockerfile: its steps, and the files that it copies."""

from pathlib import Path

import pytest

from sabotage import only, remove, write
from submission.preflight.dockerfile import check_dockerfile, copied, instructions
from submissions import edit, write_light_submission


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return write_light_submission(tmp_path / "copy")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("COPY environment.yml /tmp/", "environment.yml, which does not exist"),
        ('COPY ["apt.txt", "weights/*.th", "/tmp/"]', "weights/*.th, which does not exist"),
        ("ADD --chown=1001:1001 missing.tar \\\n  /tmp/", "missing.tar, which does not exist"),
        ("COPY secret.txt /tmp/", "secret.txt, which .dockerignore leaves out"),
    ],
)
def test_sabotaged_dockerfiles(copy: Path, line: str, what: str):
    write(".dockerignore", "*.txt\n!apt.txt\n!requirements.txt\n")(copy)
    write("secret.txt", "x")(copy)
    edit(copy / "Dockerfile", "COPY . /home/aicrowd", f"{line}\nCOPY . /home/aicrowd")
    finding = only(list(check_dockerfile(copy)))
    assert what in finding.what and finding.where == "Dockerfile:4"


def test_a_dockerfile_needs_a_base_a_user_and_the_submission(copy: Path):
    write("Dockerfile", "FROM ubuntu:24.04\n")(copy)
    assert ["1001" in finding.what or "not copied" in finding.what for finding in check_dockerfile(copy)] == [
        True,
        True,
    ]
    write("Dockerfile", "# nothing\n")(copy)
    assert "no FROM" in only(list(check_dockerfile(copy))).what
    remove("Dockerfile")(copy)
    assert not list(check_dockerfile(copy))


def test_dockerfile_steps():
    text = "# a\nFROM x AS y\n\nRUN a \\\n  # why\n  && b\ncopy --from=y /a /b\nCOPY --link a b c/\n"
    steps = list(instructions(text))
    assert steps == [
        (2, "FROM", "x AS y"),
        (4, "RUN", "a && b"),
        (7, "COPY", "--from=y /a /b"),
        (8, "COPY", "--link a b c/"),
    ]
    assert [copied(arguments) for _, name, arguments in steps if name == "COPY"] == [[], ["a", "b"]]
    assert copied("https://x.y/z /tmp") == []
