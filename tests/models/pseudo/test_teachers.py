"""Who is asked for which stems."""

import numpy as np
import pytest
from unlabelled_songs import write_song

from conftest import TINY
from models.checkpoints.checkpoint import save_checkpoint
from models.pseudo.teachers import parse_teachers


@pytest.fixture
def folder(tmp_path):
    """Holds a checkpoint of vocals and drums, and estimates of vocals and bass."""
    save_checkpoint(tmp_path / "net", TINY.build_network().state_dict(), TINY, {}, "")
    for stem in ("vocals", "bass"):
        write_song(tmp_path / "est" / "song" / f"{stem}.wav", np.zeros((2, 10), dtype=np.float32))
    return tmp_path


def parsed(folder, *texts, stems=("vocals", "drums")):
    sources = parse_teachers([text.replace("@", f"{folder}/") for text in texts], stems)
    return [(source.path.name, source.stems, source.is_network) for source in sources]


def test_each_stem_goes_to_the_first_teacher_that_has_it(folder):
    assert parsed(folder, "@net") == [("net", ("vocals", "drums"), True)]
    assert parsed(folder, "@est", "@net") == [("est", ("vocals",), False), ("net", ("drums",), True)]
    assert parsed(folder, "vocals=@est", "@net") == parsed(folder, "@est", "@net")
    assert parsed(folder, "drums=@net", "@est") == [("net", ("drums",), True), ("est", ("vocals",), False)]
    assert parsed(folder, "bass,vocals=@est", stems=("vocals", "bass")) == [("est", ("vocals", "bass"), False)]
    assert parsed(folder, "tiny", stems=("bass",)) == [("tiny", ("bass",), True)]


def test_a_folder_may_have_an_equals_sign_in_its_name(folder):
    (folder / "est").rename(folder / "a=b")
    assert parsed(folder, "@a=b", stems=("vocals",)) == [("a=b", ("vocals",), False)]


def test_the_description_reads_back_as_the_same_teachers(folder):
    sources = parse_teachers([f"{folder}/est", f"{folder}/net"], ("vocals", "drums"))
    assert parse_teachers([source.describe() for source in sources], ("vocals", "drums")) == sources


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["@est"], "nobody gives drums; name one more teacher"),
        (["drums=@est", "@net"], "est has no drums, it has vocals"),
        (["@net", "@est"], "est is asked for no stem: the teachers before it have them"),
        (["vocals=@net", "@net"], "expected one checkpoint, which the student may replace, got several"),
        (["@nothing"], "expected the name or folder of a checkpoint, or a folder of estimates, got '.*nothing'"),
    ],
)
def test_what_does_not_fit_is_refused(folder, texts, message):
    with pytest.raises((ValueError, FileNotFoundError), match=f"--teacher: .*{message}"):
        parsed(folder, *texts)
