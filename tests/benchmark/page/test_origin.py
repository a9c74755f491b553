"""The report's footer, the references to cite, and the folder of audio beside the page."""

import html
import json
import re
import shutil
import stat

import pytest

from benchmark import __main__ as command
from benchmark.page import origin
from benchmark.page.build import write_report
from benchmark.page.contents import read_contents
from page_run import NAMES, make_run


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"), names=NAMES[:2])


def test_the_footer_says_where_the_figures_come_from(out):
    contents = read_contents(out)
    facts = origin.facts(contents)
    result = next(iter(contents.systems[1].results.values()))
    assert facts["Commit"] == (result["measured"]["commit"] or "unknown")
    assert facts["Versions"].startswith(f"Python {result['measured']['python']}, ")
    assert f"numpy {result['key']['packages']['numpy']}" in facts["Versions"]
    assert result["measured"]["machine"] in facts["Machine"]
    text = write_report(out).path.read_text()
    footer = text[text.index("<footer") : text.index("</footer>")]
    assert (
        origin.data_hash(contents) in footer
        and "@misc{bandsplit_benchmark" in footer
        and "@article{luo2023bsrnn" in footer
    )


def test_the_data_hash_follows_the_music_alone(out, tmp_path):
    first = origin.data_hash(read_contents(out))
    assert re.fullmatch("[0-9a-f]{16}", first)
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    record = json.loads((copy / "run.json").read_text())
    record["keys"].reverse()
    (copy / "run.json").write_text(json.dumps(record))
    assert origin.data_hash(read_contents(copy)) == first
    for key in record["keys"]:
        if key["track"] == NAMES[0]:
            key["audio"] = "0" * len(key["audio"])
    (copy / "run.json").write_text(json.dumps(record))
    contents = read_contents(copy)
    assert origin.data_hash(contents) != first


def test_names_cannot_break_bibtex(out):
    entries = origin.bibtex(read_contents(out))
    assert entries.count("{") == entries.count("}") and "musdb18" not in entries
    title = next(line for line in entries.splitlines() if "title" in line)
    assert "</script>" in title and "\\" not in title


def test_audio_goes_beside_the_page(out, tmp_path, capsys):
    page = tmp_path / "index.html"
    assert command.main(["report", str(out), "--audio-beside", "--out", str(page)]) == 0
    assert f"together with {tmp_path}/index-audio/" in capsys.readouterr().out
    text = html.unescape(page.read_text())
    assert "connect-src 'self'" in text and "img-src 'self' data:" in text and len(text) < 300_000
    island = json.loads(re.search(r'id="audio-1">(.*?)</script>', text)[1])
    audio, picture = island["streams"]["1/bass"]
    assert (audio, picture) == ("index-audio/1/1-bass.mp3", "index-audio/1/1-bass.webp")
    kept = next(out.glob("audio/Second*/*/systems/bsrnn/bass.mp3"))
    assert (tmp_path / audio).read_bytes() == kept.read_bytes()
    assert (tmp_path / "index-audio").stat().st_mode & stat.S_IROTH
    write_report(out, page, NAMES[:1], beside=True)  # replaces the folder
    assert [child.name for child in (tmp_path / "index-audio").iterdir()] == ["0"]
    assert sorted(child.name for child in tmp_path.iterdir()) == ["index-audio", "index.html"]


def test_a_folder_with_other_files_is_not_replaced(out, tmp_path, capsys):
    (tmp_path / "index-audio").mkdir()
    (tmp_path / "index-audio/my song.wav").touch()
    assert command.main(["report", str(out), "--audio-beside", "--out", str(tmp_path / "index.html")]) == 2
    assert "holds other files; move it" in capsys.readouterr().err
    assert [child.name for child in tmp_path.iterdir()] == ["index-audio"]
