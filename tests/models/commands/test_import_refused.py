"""Weights that ``import`` refuses: each in one line that says what was expected."""

import pytest
import torch

from public_files import FACTS, amanteur_file, fails, magronp_file, without


def test_auto_cannot_distinguish_amanteur_from_crlandsc(tmp_path, capsys):
    file = amanteur_file(tmp_path / "vocals.pt")
    line = fails(capsys, "import", file, "--out", tmp_path / "ours")
    assert "--format crlandsc or --format amanteur" in line and "same names and shapes" in line
    line = fails(capsys, "import", file, "--out", tmp_path / "ours", "--format", "magronp")
    assert "expected weights of the layout magronp" in line


def test_stems_that_would_be_paths_are_refused(tmp_path, capsys):
    file = magronp_file(tmp_path / "vocals.ckpt", facts={"targets": ["../../vocals"], **FACTS})
    assert "names of files" in fails(capsys, "import", file, "--out", tmp_path / "ours")


@pytest.mark.parametrize(
    ("change", "words"),
    (
        (lambda state: {n: v for n, v in state.items() if n != "BN.2.0.bias"}, ("1 of", "missing: BN.2.0.bias")),
        (lambda state: state | {"extra.weight": torch.zeros(1)}, ("1 unexpected: extra.weight",)),
        (lambda state: state | {"BN.1.1.bias": torch.zeros(9)}, ("BN.1.1.bias is [9], expected [8]",)),
        (lambda state: {n: v for n, v in state.items() if "BN.3." not in n}, ("BN.3.1.weight* are missing",)),
        (lambda state: state | {"BN.0.1.bias": torch.full((8,), torch.nan)}, ("values that are not finite",)),
    ),
)
def test_wrong_weights_are_named(tmp_path, capsys, change, words):
    file = magronp_file(tmp_path / "vocals.ckpt", change=change)
    line = fails(capsys, "import", file, "--out", tmp_path / "ours")
    assert all(word in line for word in words), line
    assert not (tmp_path / "ours" / "weights.safetensors").exists()


def test_unsupported_networks_are_refused(tmp_path, capsys):
    def gru(state):
        return {n: v[: v.shape[0] // 4 * 3] if "main_layer" in n else v for n, v in state.items()}

    magronp = {
        "LSTMs, got other recurrent layers": {"change": gru},
        "bidirectional": {"change": lambda state: without(state, "_reverse")},
        "convolutional": {"change": lambda state: without(state, "time_net") | {"separator.0.x": torch.ones(1)}},
        "mask_ctxt is 2": {"facts": {"mask_ctxt": 2, "targets": ["vocals"]}},
        "n_hop: expected a whole number": {"facts": {"n_hop": "x" * 5, "targets": ["vocals"]}},
        "has masks for 1 stems, but 3 names": {"facts": {"targets": ["a", "b", "c"]}},
    }
    for index, (words, options) in enumerate(magronp.items()):
        file = magronp_file(tmp_path / str(index) / "vocals.ckpt", **options)
        assert words in fails(capsys, "import", file, "--out", tmp_path / "ours")
    file = amanteur_file(tmp_path / "vocals.pt", change=lambda state: without(state, "bandsequence"))
    assert "a bottleneck of BLSTMs" in fails(capsys, "import", file, "--out", tmp_path / "ours", "--format", "amanteur")
    file = amanteur_file(tmp_path / "h" / "vocals.pt")
    (tmp_path / "h" / "hparams.yaml").write_text("model:\n  return_mask: true\nprivate:\n  token: secret\n")
    line = fails(capsys, "import", file, "--out", tmp_path / "ours", "--format", "amanteur")
    assert "return_mask: True" in line and "secret" not in line


def test_two_files_of_one_stem_and_other_mistakes(tmp_path, capsys):
    for name in ("a/vocals.ckpt", "b/vocals.ckpt"):
        magronp_file(tmp_path / name)
    line = fails(capsys, "import", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "ours")
    assert "expected every stem once" in line
    (tmp_path / "full").mkdir()
    (tmp_path / "full/photo.jpg").write_text("x")
    line = fails(capsys, "import", tmp_path / "a", "--out", tmp_path / "full")
    assert "got other files" in line and (tmp_path / "full/photo.jpg").exists()
