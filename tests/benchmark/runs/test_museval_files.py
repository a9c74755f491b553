"""benchmark.runs.museval_files: museval's stores read the files and aggregate them to our figures."""

import json

import museval
import numpy as np
import pytest
from jsonschema import validate

from benchmark.runs.museval_files import museval_path, write_museval
from benchmark.scoring.scores import FRAME_MEDIANS, score
from models.tracks import STEMS

RATE = 1000


def make_result(track, seed):
    rng = np.random.default_rng(seed)
    references = rng.normal(size=(4, 2, 5 * RATE))
    estimates = references + 0.3 * rng.normal(size=references.shape)
    estimates[0, :, RATE : 2 * RATE] = 0  # a NaN frame
    estimates[:, :, :RATE] = references[:, :, :RATE]  # infinite SDR
    group = score(references, estimates, STEMS, RATE)
    scores = {"stems": list(STEMS), "together": [group]}
    return {"key": {"system": "demucs:some/folder", "split": "test", "track": track}, "scores": scores}


def test_musevals_stores_read_the_files(tmp_path):
    results = [make_result(track, seed) for seed, track in enumerate(("A. B - The Song", "Ünï - two"))]
    for result in results:
        path = write_museval(tmp_path, result)
        assert path == museval_path(tmp_path, *result["key"].values()) and path.name == f"{result['key']['track']}.json"
    store = museval.TrackStore("x")
    store.scores = json.loads(path.read_text())
    validate(store.scores, store.schema)
    folder = path.parents[1]
    tracks = museval.EvalStore()
    tracks.add_eval_dir(folder)
    table = tracks.agg_frames_scores()
    methods = museval.MethodStore()
    methods.add_eval_dir(folder)
    over_tracks = methods.agg_frames_tracks_scores()
    for name, metric in FRAME_MEDIANS.items():
        for stem in STEMS:
            values = []
            for result in results:
                (group,) = result["scores"]["together"]
                frames = np.array(group["frames"][metric][stem])
                values.append(np.median(frames[np.isfinite(frames)]))  # museval's files have no infinity
                assert table[result["key"]["track"], stem, metric] == pytest.approx(values[-1], abs=1e-4)
                assert name == "csdr" or values[-1] == pytest.approx(group[name][stem], abs=2)
            assert over_tracks[folder.name, stem, metric] == pytest.approx(np.median(values), abs=1e-4)
    assert not list(tmp_path.rglob("*.part"))
