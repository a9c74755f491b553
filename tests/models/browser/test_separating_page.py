"""The page in a real browser: it separates real music, offline, and its stems are those of the command."""

import functools
import http.server
import io
import json
import threading

import numpy as np
import pytest
import soundfile

from chromium import Chromium, find_chromium
from models.__main__ import main
from models.browser.build import OWN_FILES, render
from models.onnx.graph import GraphFacts
from models.running.repository import ROOT
from models.signal.chunking import SeparateConfig
from models.tracks import open_tracks, shipped_excerpt
from public_files import fails

RUNTIME = ROOT / ".venv/onnxruntime-web"
STEMS = ("vocals", "drums", "bass", "other")
WAIT_S = 240.0


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A page of ``tiny`` in the folder ``page``, and a real excerpt of six seconds, ``song.wav``."""
    if find_chromium() is None or not RUNTIME.is_dir():
        pytest.skip("no Chromium or no onnxruntime-web: the page is not tested; `make test` installs both")
    folder = tmp_path_factory.mktemp("web")
    assert main(["page", "--checkpoint", "tiny", "--runtime", str(RUNTIME), "--out", str(folder / "page")]) == 0
    (track,) = open_tracks(shipped_excerpt(), "test")
    soundfile.write(folder / "song.wav", track.read_mixture().T, track.sample_rate, subtype="PCM_16")
    return folder


@pytest.fixture(scope="module")
def browser(folder, tmp_path_factory):
    handler = functools.partial(QuietHandler, directory=str(folder / "page"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        with Chromium(find_chromium(), tmp_path_factory.mktemp("profile"), server=address) as started:
            started.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
            yield started
        server.shutdown()


@pytest.fixture
def page(browser):
    browser.problems.clear()
    browser.resize(1400, 900)
    browser.go(browser.server)
    yield browser
    assert browser.problems == []  # no errors, and no request to anywhere but its own server


def snr_db(estimate, reference):
    return 10 * np.log10((reference**2).sum() / ((estimate - reference) ** 2).sum())


def download(page, folder, name):
    path = folder / f"song.{name}.wav"
    page.click(f"[aria-label='Download {name}']")
    for _ in range(200):
        if path.exists():
            samples, rate = soundfile.read(io.BytesIO(path.read_bytes()))
            assert rate == 44100
            return samples
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")
    raise AssertionError(f"{path} was not downloaded")


def test_a_song_s_stems_are_the_command_s(page, folder):
    command = [
        "separate",
        str(folder / "song.wav"),
        "--checkpoint",
        "tiny",
        "--device",
        "cpu",
        "--precision",
        "float32",
    ]
    assert main([*command, "--out", str(folder / "stems")]) == 0
    page.choose_file("#file", folder / "song.wav")
    page.wait_for("!document.getElementById('work').hidden")
    page.wait_for("!document.getElementById('result').hidden", WAIT_S)
    assert page.evaluate("document.getElementById('result-name').textContent") == "song.wav"
    for name in STEMS:
        expected, _ = soundfile.read(folder / "stems" / f"{name}.wav")
        found = download(page, folder, name)
        assert found.shape == expected.shape
        assert snr_db(found, expected) > 40
    assert page.evaluate("document.getElementById('took').textContent").startswith("0:06 of music took ")
    page.click("[data-stream=drums]")
    assert page.evaluate("document.querySelector('[aria-checked=true]').textContent") == "drums"
    page.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.stream") == "vocals"
    page.click("#play")
    page.wait_for("document.getElementById('play').textContent === 'Pause'")
    page.wait_for("Number(document.getElementById('position').value) > 0.2")
    page.click("#play")
    page.wait_for("document.getElementById('play').textContent === 'Play'")
    page.resize(390, 800, is_phone=True)
    page.wait_for("innerWidth === 390")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_bad_file_is_one_line_and_the_page_goes_on(page, folder):
    (folder / "text.mp3").write_text("no music")
    page.choose_file("#file", folder / "text.mp3")
    page.wait_for("!document.getElementById('failed').hidden")
    message = page.evaluate("document.getElementById('failed').textContent")
    assert message == "text.mp3 is not a song that this browser can read."
    page.choose_file("#file", folder / "song.wav")
    page.wait_for("!document.getElementById('work').hidden && document.getElementById('failed').hidden")
    page.click("#cancel")
    assert page.evaluate("document.getElementById('work').hidden && !document.getElementById('drop').hidden")


def run_script(page, script):
    """The value of a script that uses the page's module separate.js."""
    return page.evaluate(f"import('/separate.js').then(async (own) => {{ {script} }})")


def test_chunks_join_as_the_command_s(page):
    """Stems that are multiples of the mixture come back exactly, whatever the chunks, and silence stays silence."""
    script = """
      const noise = Float32Array.from({ length: 5003 }, (_, i) => Math.sin(i * i) * 0.7);
      noise.fill(0, 1000, 2500);
      const source = own.openSamples([noise], 2);
      let calls = 0;
      const estimate = async (chunk, length, silent) => {
        calls += 1;
        return [0.5, -2].map((gain) => chunk.map((x) => x.map((value) => (silent ? 0 : gain * value))));
      };
      const out = [[], []];
      const sink = (pieces) => pieces.forEach((piece, stem) => out[stem].push(...piece[1]));
      await own.separate(source, { segment_s: SEGMENT, overlap: OVERLAP }, 1000, estimate, sink, () => {});
      const wrong = (x, i, gain) => Math.abs(x - gain * noise[i]);
      const worst = [0.5, -2].map((gain, stem) => Math.max(...out[stem].map((x, i) => wrong(x, i, gain))));
      return [out[0].length, out[1].length, Math.max(...worst), calls];
    """
    for segment, overlap, calls in ((0.4, 0.25, 17), (0.4, 0.75, 48), (1.001, 0.05, 6), (9, 0.5, 1)):
        filled = script.replace("SEGMENT", f"{segment}").replace("OVERLAP", f"{overlap}")
        *lengths, worst, made = run_script(page, filled)
        assert lengths == [5003, 5003] and worst < 1e-6 and made == calls


def test_shifts_and_the_residual_are_applied(page):
    script = """
      const facts = { stems: ['vocals', 'other'], hop: 10, separate: { shifts: 5, residual: 0.5 } };
      const chunk = [Float32Array.from({ length: 30 }, (_, i) => i), new Float32Array(30).fill(1)];
      const lengths = [];
      const run = async (samples, length) => {
        lengths.push(length);
        return [0.5, 0.3].map((gain) => samples.map((x) => x.map((value) => gain * value)));
      };
      const stems = await own.averaged(run, chunk, 30, facts);
      return [lengths, stems.map((channels) => channels.map((x) => x[20]))];
    """
    lengths, values = run_script(page, script)
    assert lengths == [30, 32, 34, 36, 38]
    np.testing.assert_allclose(values, [[10, 0.5], [8, 0.4]], atol=1e-5)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_files_are_read_piece_by_piece(page, folder, subtype, channels):
    samples = 0.5 * np.random.default_rng(0).standard_normal((1000, channels)).clip(-1.9, 1.9)
    content = io.BytesIO()
    soundfile.write(content, samples, 44100, subtype, format="WAVEX" if channels == 2 else "WAV")
    script = f"""
      const file = new File([new Uint8Array({json.dumps(list(content.getvalue()))})], 'a.wav');
      const source = await own.openWav(file, 44100, 2);
      const [left, right] = await source.read(300, 310);
      return [source.length, source.channels, [...left], [...right], await own.openWav(file, 48000, 2)];
    """
    length, found, left, right, other_rate = run_script(page, script)
    assert (length, found, other_rate) == (1000, channels, None)
    content.seek(0)
    expected = soundfile.read(content, always_2d=True)[0][300:310].T
    np.testing.assert_allclose(left, expected[0], atol=1e-6)
    np.testing.assert_allclose(right, expected[-1], atol=1e-6)


def test_the_network_s_facts_are_in_the_page_and_names_are_text():
    facts = GraphFacts("</script><b>", ("a&b", "vocals"), 44100, 2, 512, SeparateConfig(7.0, 0.05, 1))
    text = render(facts)
    island = text.split('id="facts">')[1].split("</script>")[0]
    assert json.loads(island)["name"] == "</script><b>" and json.loads(island)["separate"]["segment_s"] == 7.0
    assert "<b>" not in text and "Into a&amp;b and vocals." in text
    for name in OWN_FILES:
        assert name in text or name in ("separate.js", "worker.js")


def test_the_command_checks_its_input(tmp_path, capsys):
    page = ["page", "--out", tmp_path / "page"]
    assert "expected the package onnxruntime-web" in fails(capsys, *page, "--runtime", tmp_path)
    files = tmp_path / "ort"
    files.mkdir()
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        (files / name).write_text("file")
    assert "no checkpoint 'none'" in fails(capsys, *page, "--runtime", files, "--checkpoint", "none")
    assert "none.onnx: no such file" in fails(capsys, *page, "--runtime", files, "--onnx", tmp_path / "none.onnx")
    assert not (tmp_path / "page/index.html").exists()


def test_a_graph_is_taken_as_it_is(tmp_path, capsys, folder):
    graph = folder / "page/network.onnx"
    assert main(["page", "--out", str(tmp_path / "page"), "--runtime", str(RUNTIME), "--onnx", str(graph)]) == 0
    assert (tmp_path / "page/network.onnx").read_bytes() == graph.read_bytes()
    assert f"python -m http.server --directory {tmp_path / 'page'}" in capsys.readouterr().out
