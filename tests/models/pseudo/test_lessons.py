"""The teacher of a run: first the one that is named, then the student's best weights, exactly after any resume."""

import dataclasses
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from unlabelled_songs import write_song

from conftest import SAMPLE_RATE, STEMS, TINY, synthetic_stems, with_train
from models.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from models.pseudo import lessons as lessons_module
from models.pseudo.lessons import Lessons
from models.pseudo.settings import read_settings
from models.training.data.packs import prepare_pack
from models.training.validation import validation_sdr
from models.training.world import World


def network(seed):
    torch.manual_seed(seed)
    return TINY.build_network()


@pytest.fixture
def pack(hq_root, tmp_path):
    return prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


@pytest.fixture
def songs(tmp_path):
    for seed in (7, 8):
        write_song(tmp_path / "songs" / f"{seed}.wav", np.sum(list(synthetic_stems(seed, 7.0).values()), axis=0))
    save_checkpoint(tmp_path / "net", network(0).state_dict(), TINY, {}, "")
    return tmp_path / "songs"


@pytest.fixture
def begin(pack, songs, tmp_path):
    """Lessons as each call of the command makes them."""

    def begun(*teachers, preset=TINY, roots=(songs,)):
        settings = read_settings(roots, teachers or [str(tmp_path / "net")], 0.5, preset, tmp_path / "run")
        settings.keep(tmp_path / "run", False)
        return Lessons(preset, pack, tmp_path / "run" / "pool", settings, World())

    return begun


@pytest.fixture
def separated(monkeypatch):
    """Names of the teachers that separated, one for each part."""
    calls = []
    original = lessons_module.label_song

    def counting(scanned, teachers, *rest):
        for teacher in teachers:
            separate = teacher.separate
            teacher.separate = lambda *part, t=teacher, f=separate: (calls.append(t.name.split("@")[0]), f(*part))[1]
        try:
            return original(scanned, teachers, *rest)
        finally:
            for teacher in teachers:
                del teacher.separate

    monkeypatch.setattr(lessons_module, "label_song", counting)
    return calls


def row(step, *scores):
    return {"step": step, "valid_sdr": sum(scores) / 2, "valid_vocals": scores[0], "valid_drums": scores[1]}


def follow(lessons, rows, now, seed=1):
    return lessons.follow(rows, now, network(seed), lambda: False)


def same(first, second):
    return all(torch.equal(first.batch(step, 4).targets, second.batch(step, 4).targets) for step in range(3))


def test_the_first_teacher_labels_all_songs_and_the_mixer_draws_from_them(begin, separated):
    lessons = begin()
    mixer = follow(lessons, [], 0)
    assert separated == ["net", "net"]
    origins = " ".join(origin for step in range(8) for origin in mixer.batch(step, 4).origins)
    assert "'7'" in origins and "'8'" in origins and "all but" in origins and "Tin Lantern" in origins
    facts = lessons.facts()
    assert facts["unlabelled_songs"] == "2 songs, 0.2 minutes with activity: 7; 8"
    assert facts["teacher"].startswith("net@") and facts["teacher"].endswith("(vocals, drums)")
    assert lessons.origins() == "songs without stems of songs, labels of net"
    assert follow(lessons, [{"step": 50, "loss": 1.0}], 50) is None


def test_a_better_student_replaces_the_teacher_and_a_worse_one_does_not(begin, separated, tmp_path):
    lessons = begin()
    follow(lessons, [], 0)
    rows = [row(5, -90, -90)]
    assert follow(lessons, rows, 5) is None
    rows.append(row(10, 90, 90))
    before = follow(lessons, rows, 10, seed=3)
    assert separated == ["net"] * 2 + ["step-10"] * 2
    teacher = load_checkpoint(tmp_path / "run" / "pool" / "teachers" / "step-10").network
    for kept, given in zip(teacher.state_dict().values(), network(3).state_dict().values(), strict=True):
        assert torch.allclose(kept, given, atol=1e-3)
    assert follow(lessons, [*rows, row(15, 80, 80)], 15) is None
    assert follow(lessons, [*rows, row(20, 90, 91)], 20, seed=4) is not None
    assert [path.name for path in (tmp_path / "run/pool/teachers").iterdir()] == ["step-20"]
    assert "step-20@" in lessons.facts()["teacher"] and before is not None


def test_the_students_first_rival_is_the_teachers_own_validation(begin, pack, tmp_path, capsys):
    expected = validation_sdr(load_checkpoint(tmp_path / "net").network, pack, TINY.separate, World())
    mean = sum(expected.values()) / 2
    lessons = begin()
    follow(lessons, [], 0)
    assert f"validation SDR {mean:.2f} dB" in capsys.readouterr().err
    assert lessons._teacher_step([row(5, mean, mean - 0.01)]) == 0
    assert lessons._teacher_step([row(5, mean, mean + 0.01)]) == 5
    assert lessons._teacher_step([row(5, mean, mean + 2), row(10, mean, mean + 2), row(15, mean, mean + 1)]) == 5


def test_a_resumed_run_gets_the_mixer_it_had_without_separating_again(begin, separated):
    rows = [row(10, 90, 90)]
    lessons = begin()
    first = follow(lessons, [], 0)
    second = follow(lessons, rows, 10, seed=3)
    del separated[:]
    resumed = follow(begin(), [*rows, row(15, 1, 1)], 17, seed=9)  # the weights are others by now
    assert separated == [] and same(second, resumed) and not same(first, resumed)


@pytest.mark.parametrize("after", ["weights", "one part"])
def test_killed_while_the_new_teacher_labels_the_rest_follows(begin, separated, tmp_path, after):
    rows, pool = [row(10, 90, 90)], tmp_path / "run" / "pool"
    lessons = begin()
    follow(lessons, [], 0)
    first = {path.name: path.read_bytes() for path in (pool / "parts").iterdir()}
    whole = follow(lessons, rows, 10, seed=3)
    for name in sorted(first)[: 4 if after == "weights" else 2]:  # of the first teacher again
        (pool / "parts" / name).write_bytes(first[name])
    if after == "weights":
        shutil.rmtree(pool / "teachers")
    del separated[:]
    resumed = follow(begin(), rows, 10, seed=3)
    assert same(whole, resumed) and separated == ["step-10"] * (2 if after == "weights" else 1)


def test_weights_of_an_earlier_step_that_are_gone_are_not_replaced_by_others(begin):
    with pytest.raises(ValueError, match="step-10: these weights label the songs and are not there"):
        follow(begin(), [row(10, 90, 90)], 12)


def test_stopped_between_songs_what_is_done_stays(begin, separated):
    with pytest.raises(KeyboardInterrupt):
        begin().follow([], 0, network(0), lambda: len(separated) > 0)
    assert separated == ["net"]
    follow(begin(), [], 0)
    assert separated == ["net", "net"]


def test_estimates_are_never_replaced_and_the_network_beside_them_is(begin, separated, tmp_path):
    for name in ("7", "8"):
        vocals = synthetic_stems(int(name), 7.0)["vocals"]
        write_song(tmp_path / "est" / name / "vocals.wav", vocals)
    est, net = str(tmp_path / "est"), str(tmp_path / "net")
    lessons = begin(est, net)
    follow(lessons, [], 0)
    assert lessons.facts()["teacher"].startswith("estimates of est (vocals) and net@")
    assert follow(lessons, [row(5, 90, -90)], 5) is None  # vocals are not the network's
    assert follow(lessons, [row(5, 90, -90), row(10, -90, 90)], 10) is not None
    assert lessons.facts()["teacher"].startswith("estimates of est (vocals) and step-10@")
    write_song(tmp_path / "est" / "7" / "drums.wav", vocals)
    write_song(tmp_path / "est" / "8" / "drums.wav", vocals)
    alone = begin(est)
    assert follow(alone, [row(5, 90, 90)], 5) is not None and alone._step == 0


def test_unusable_songs_are_left_out_and_without_any_other_the_run_is_refused(begin, songs, capsys):
    (songs / "text.mp3").write_text("not a song")
    write_song(songs / "silent.wav", np.zeros((2, SAMPLE_RATE), np.float32))
    lessons = begin()
    follow(lessons, [], 0)
    said = capsys.readouterr().err
    assert "left out: silent (no activity)" in said and "left out: text (" in said
    assert "2 songs without stems, 0.2 minutes; their pool needs 0.01 GB in " in said
    assert said.index("pool needs") < said.index("labelled by")
    with pytest.raises(ValueError, match="--unlabelled: expected a song with activity, got none in 1"):
        follow(begin(roots=(songs / "silent.wav",)), [], 0)


def test_validation_tracks_are_no_songs_to_learn_from(begin, songs):
    (songs / "7.wav").rename(songs / "actions - One Minute Smile.wav")
    with pytest.raises(ValueError, match="--unlabelled: 'actions - One Minute Smile' is a validation track"):
        begin()


def test_the_same_content_counts_once_and_crops_must_fit_a_segment(begin, songs):
    shutil.copy(songs / "7.wav", songs / "copy.wav")
    assert len(begin().settings.songs) == 2
    for changes in ({"crop_s": 6.1}, {"crop_s": 4.0, "speed_semitones": 12.0}):
        preset = dataclasses.replace(with_train(), data=dataclasses.replace(TINY.data, **changes))
        with pytest.raises(ValueError, match="data.crop_s: expected crops within a segment of 6 s"):
            begin(preset=preset)


class Pair:
    """One of two processes in one, as threads: what the world of `torchrun` offers."""

    size, device = 2, "cpu"

    def __init__(self, rank, barrier, shared):
        self.rank, self._barrier, self._shared = rank, barrier, shared

    def gather(self, value):
        self._shared[self.rank] = value
        self._barrier.wait(60)
        values = list(self._shared)
        self._barrier.wait(60)
        return values


def test_two_processes_share_the_songs_and_mix_the_same(begin, songs, pack, separated, tmp_path):
    write_song(songs / "9.wav", np.sum(list(synthetic_stems(9, 7.0).values()), axis=0))
    alone = follow(begin(), [], 0)
    shutil.rmtree(tmp_path / "run")
    del separated[:]
    settings = begin().settings
    barrier, shared = threading.Barrier(2), [None, None]
    both = [Lessons(TINY, pack, tmp_path / "run" / "pool", settings, Pair(rank, barrier, shared)) for rank in range(2)]
    with ThreadPoolExecutor(2) as pool:
        mixers = list(pool.map(lambda lessons: follow(lessons, [], 0), both))
    assert separated == ["net"] * 3 and same(mixers[0], mixers[1]) and same(mixers[0], alone)
