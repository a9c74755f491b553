"""A stem file is done only if its record has the same key and the file is as it was written."""

import pytest

from models.songs.records import forget, read_records, remember

KEY = {"input": "1", "stems": ["a", "b"], "overlap": 0.5}


@pytest.fixture
def written(tmp_path):
    paths = [tmp_path / "out" / name for name in ("a.wav", "deep/b.wav")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    remember(tmp_path / "out", {path: {"peak": index} for index, path in enumerate(paths)}, KEY)
    return tmp_path / "out", paths


def test_what_was_written_is_done_wherever_the_folder_is_moved(written):
    out, paths = written
    assert [record["peak"] for record in read_records(out, paths, KEY)] == [0, 1]
    moved = out.rename(out.with_name("moved"))
    assert read_records(moved, [moved / path.relative_to(out) for path in paths], KEY) is not None


@pytest.mark.parametrize("change", ["input", "options", "gone", "cut", "forgotten", "damaged"])
def test_not_done(written, change):
    out, paths = written
    key = {"input": KEY | {"input": "2"}, "options": KEY | {"overlap": 0.25}}.get(change, KEY)
    if change == "gone":
        paths[1].unlink()
    elif change == "cut":
        paths[1].write_text("b")
    elif change == "forgotten":
        forget(out, paths[1:])
    elif change == "damaged":
        next((out / ".separated").iterdir()).write_text("{")
    assert read_records(out, paths, key) is None


def test_a_later_run_with_other_options_takes_over_the_file_it_wrote(written):
    out, paths = written
    forget(out, paths[:1])
    remember(out, {paths[0]: {"peak": 7}}, KEY | {"stems": ["a"]})
    assert read_records(out, paths, KEY) is None
    assert read_records(out, paths[:1], KEY | {"stems": ["a"]})[0]["peak"] == 7
