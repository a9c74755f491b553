"""`bsrnn:ENSEMBLE.yaml` is a system: found, labelled, hashed and run with all its members."""

import numpy as np
import pytest

from benchmark.provenance.weights import OURS_ROLE, PEER_ROLE
from benchmark.systems.catalog import load, resolve
from models.separation.separator import load_separator
from submissions import INFO, write_checkpoint


@pytest.fixture
def ensemble(tmp_path):
    write_checkpoint(tmp_path / "a", info={"training_data": "9 tracks, 1.0 minutes, from musdb18-7"}, seed=1)
    write_checkpoint(tmp_path / "b", info={"training_data": "9 tracks, 1.0 minutes, from musdb18-7"}, seed=2)
    file = tmp_path / "both.yaml"
    file.write_text(
        f"checkpoints: [{tmp_path / 'a'}, {tmp_path / 'b'}]\nweights: [{{stem: bass, shares: [0.2, 0.8]}}]\n"
    )
    return file


def test_it_separates_with_its_weights_and_counts_all_members(ensemble, tmp_path, mixture):
    system = load(resolve(f"bsrnn:{ensemble}"))
    alone = [load(resolve(f"bsrnn:{tmp_path / name}")) for name in "ab"]
    assert system.parameters == sum(each.parameters for each in alone)
    assert system.gmacs_per_second() == pytest.approx(sum(each.gmacs_per_second() for each in alone))
    stems = system.separate(mixture, 44100)
    a, b = (load_separator(str(tmp_path / name), "cpu").separate(mixture) for name in "ab")
    np.testing.assert_allclose(stems["bass"], 0.2 * a["bass"] + 0.8 * b["bass"], atol=1e-6)
    np.testing.assert_allclose(stems["drums"], (a["drums"] + b["drums"]) / 2, atol=1e-6)


def test_the_row_names_the_members_and_the_training_data(ensemble, tmp_path):
    source = resolve(f"bsrnn:{ensemble}")
    assert source.label == "Ensemble (both: a, b; ours)" and source.role == OURS_ROLE
    assert source.checkpoint.startswith("both@") and " + b@" in source.checkpoint
    assert source.note.count("trained on 9 tracks") == 2
    write_checkpoint(tmp_path / "b", info=INFO, seed=2)
    assert resolve(f"bsrnn:{ensemble}").label.endswith("ours) [extra data]")
    unknown = {"training_data": "1 track, 1.0 minutes, from unknown", "imported_from": "somewhere"}
    write_checkpoint(tmp_path / "a", info=unknown, seed=1)
    source = resolve(f"bsrnn:{ensemble}")
    assert source.label == "Ensemble (both: a, b; not all ours) [training data unknown]" and source.role == PEER_ROLE
    write_checkpoint(tmp_path / "b", info={"training_data": "the test split"}, seed=2)
    assert resolve(f"bsrnn:{ensemble}").label.endswith("[trained on the test set]")


def test_results_are_reused_only_for_the_same_weights(ensemble, tmp_path):
    digests = {resolve(f"bsrnn:{ensemble}").digest}
    write_checkpoint(tmp_path / "b", info={"training_data": "9 tracks, 1.0 minutes, from musdb18-7"}, seed=3)
    digests.add(resolve(f"bsrnn:{ensemble}").digest)
    ensemble.write_text(ensemble.read_text().replace("0.2, 0.8", "0.3, 0.7"))
    digests.add(resolve(f"bsrnn:{ensemble}").digest)
    assert len(digests) == 3


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.yaml"):
        resolve(f"bsrnn:{tmp_path / 'absent.yaml'}")
    (tmp_path / "e.yaml").write_text("checkpoints: [small, nowhere]")
    with pytest.raises(FileNotFoundError, match="no checkpoint 'nowhere'"):
        resolve(f"bsrnn:{tmp_path / 'e.yaml'}")
