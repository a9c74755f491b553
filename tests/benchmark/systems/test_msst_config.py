"""A config.yaml of MSST: read without trust, and which of its stems are scored."""

import pytest
import yaml

from benchmark.systems.catalog import resolve
from benchmark.systems.msst_config import read_config, scored_stems
from models.tracks import STEMS
from msst_folders import CHUNK, description, write_folder


@pytest.mark.parametrize(
    ("instruments", "target", "scored"),
    [
        (("vocals", "other"), None, {"vocals": ("vocals",), "accompaniment": ("other",)}),
        (("vocals", "other"), "vocals", {"vocals": ("vocals",)}),
        (("vocals", "other"), "other", {"accompaniment": ("other",)}),
        (("instrumental", "vocals"), None, {"vocals": ("vocals",), "accompaniment": ("instrumental",)}),
        (STEMS, "other", {"other": ("other",)}),
        (("other",), None, {"other": ("other",)}),
        (("drums", "other"), None, {"drums": ("drums",)}),
        (("vocals", "drums", "piano"), None, {"vocals": ("vocals",), "drums": ("drums",)}),
        (
            (*STEMS, "guitar", "piano"),
            None,
            {stem: (stem,) for stem in STEMS} | {"other": ("other", "guitar", "piano")},
        ),
        (("speech", "music", "sfx"), None, {}),
    ],
)
def test_what_of_a_network_is_scored(instruments, target, scored):
    assert scored_stems(instruments, [target] if target else instruments) == scored


@pytest.mark.parametrize("tag", ["python/object/apply:os.system", "python/name:os.system", "python/module:os"])
def test_a_malicious_configuration_is_refused_and_not_run(tag, tmp_path):
    folder, trace = tmp_path / "mine", tmp_path / "trace"
    write_folder(folder)
    with (folder / "config.yaml").open("a") as file:
        file.write(f"extra: !!{tag} ['touch {trace}']\n")
    with pytest.raises(ValueError, match="config.yaml: expected YAML of plain values, got another file") as error:
        resolve(f"msst:{folder}")
    assert len(str(error.value)) < 500 and not trace.exists()


@pytest.mark.parametrize(
    "setting", [{"window_fn": "load", "win_length": "evil.pt", "wkwargs": {"weights_only": False}}, {"rnn_type": "os"}]
)
def test_no_function_is_looked_up_by_a_name_of_the_user(setting, tmp_path):
    """pymss-core calls torch.__dict__[window_fn](win_length, **wkwargs)."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(description("bandit", model=setting)))
    (tmp_path / "model.ckpt").touch()
    with pytest.raises(ValueError, match=f"config.yaml: {next(iter(setting))}: expected one of"):
        resolve(f"msst:{tmp_path}")


def test_tuples_as_published_configurations_hold_them(tmp_path):
    values = description()
    text = yaml.safe_dump(values).replace("freqs_per_bands:", "freqs_per_bands: !!python/tuple")
    (tmp_path / "config.yaml").write_text(text)
    assert "!!python/tuple" in text and read_config(tmp_path / "config.yaml").values == values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"act": "gelu"}},
            "config.yaml: Cannot determine model_type from .* write model_type: NAME into the file",
        ),
        ({"model_type": "htdemucs"}, "config.yaml: expected one of bs_roformer, .*, got htdemucs"),
        ({"audio": None}, "config.yaml: expected a section audio:, got None"),
        ({"audio": {"chunk_size": 0}}, "audio.chunk_size: expected a whole number from 1 to 26460000, got 0"),
        ({"audio": {"chunk_size": CHUNK, "num_channels": 6}}, "audio.num_channels: expected .* from 1 to 2, got 6"),
        ({"inference": {"num_overlap": "2"}}, "inference.num_overlap: expected a whole number from 1 to 64, got '2'"),
        ({"inference": {"num_overlap": 2, "chunk_size": True}}, "inference.chunk_size: expected .*, got True"),
        ({"training": {"instruments": ["../vocals"]}}, "training.instruments: expected 1 to .* names of files"),
        ({"training": {"instruments": [1]}}, "training.instruments: expected names of stems, got .1"),
        ({"training": {"instruments": ["speech", "sfx"]}}, "expected a network of some of vocals, .* of speech, sfx"),
    ],
)
def test_wrong_configurations_are_one_line(changes, message, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(description() | changes))
    (tmp_path / "model.ckpt").touch()
    with pytest.raises(ValueError, match=message):
        resolve(f"msst:{tmp_path}")
