"""The storage of a cluster: folders come as they were sent, the last whole one counts, and packs are taken once."""

import pytest

from tuning.trials.exchange import open_exchange


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name.replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def exchange(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "out").mkdir()
    return open_exchange(str(tmp_path / "storage"), tmp_path / "out")


def test_a_folder_comes_as_it_was_sent_last_and_the_lock_stays(exchange, tmp_path):
    assert not exchange.has("trial-000") and not exchange.receive("trial-000", tmp_path / "there")
    here = write(tmp_path / "here", trial_json="1", old_txt="2", lock="mine")
    (here / "best").mkdir()
    (here / "best" / "weights").write_text("w")
    exchange.send(here, "trial-000")
    (here / "old.txt").unlink()
    (here / "trial.json").write_text("3")
    exchange.send(here, "trial-000")
    there = write(tmp_path / "there", old_txt="9", lock="theirs")
    assert exchange.has("trial-000") and exchange.receive("trial-000", there)
    assert {path.name for path in there.iterdir()} == {"trial.json", "best", "lock"}
    assert (there / "trial.json").read_text() == "3" and (there / "lock").read_text() == "theirs"
    assert (there / "best" / "weights").read_text() == "w"
    stored = tmp_path / "storage" / exchange.identity / "trial-000"
    assert len(list(stored.iterdir())) == 2  # the pointer and one version


def test_a_copy_that_is_cut_off_is_never_seen(exchange, tmp_path, monkeypatch):
    from pyarrow import fs

    here = write(tmp_path / "here", trial_json="whole")
    exchange.send(here, "trial-000")
    (here / "trial.json").write_text("torn")

    def cut_off(source, target, **options):
        raise OSError("the machine is gone")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="gone"):
        patch.setattr(fs, "copy_files", cut_off)
        exchange.send(here, "trial-000")
    exchange.receive("trial-000", tmp_path / "there")
    assert (tmp_path / "there" / "trial.json").read_text() == "whole"


def test_a_machine_takes_the_pack_once_and_a_resumed_search_has_the_same_place(exchange, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the data of the search, got none"):
        exchange.pack()
    exchange.send(write(tmp_path / "pack", pack_json="a"), "pack")
    pack = exchange.pack()
    assert (pack / "pack.json").read_text() == "a" and pack.is_relative_to(exchange.local_folder())
    exchange.send(write(tmp_path / "pack", pack_json="b"), "pack")
    assert (exchange.pack() / "pack.json").read_text() == "a"
    assert open_exchange(exchange.uri, tmp_path / "out") == exchange


def test_an_unusable_storage_is_one_line(tmp_path):
    with pytest.raises(
        ValueError, match="--storage: expected a folder or address that all machines reach, got nope://x"
    ):
        open_exchange("nope://x", tmp_path)
