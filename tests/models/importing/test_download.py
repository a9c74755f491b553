"""``python -m models download`` against a server of its own: ranges, cuts, wrong lengths, redirects."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.__main__ import main

CONTENT = bytes(range(256)) * 4096
"""1 MiB; the server sends all or a part of it."""


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; the first part of the path selects how."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, (way, *_) = self.server, self.path.strip("/").split("/")
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        server.asked.append((self.path, start))
        content = server.content
        if way == "api":
            host = f"http://127.0.0.1:{server.server_port}"
            files = [
                {"key": "a.ckpt", "size": len(CONTENT), "links": {"self": f"{host}/file/a.ckpt/content"}},
                {"key": "b.ckpt", "size": 5, "links": {"self": f"{host}/file/b.ckpt/content"}},
            ]
            return self.answer(json.dumps({"files": files}).encode())
        if way == "to":
            self.send_response(302)
            self.send_header("Location", server.target)
            return self.end_headers()
        if way == "gone":
            return self.send_error(404)
        if way == "cut" and len(server.asked) < 3:
            return self.answer(content[start:], stop=300_000, start=start)
        if way == "alwayscut":
            return self.answer(content[start:], stop=10, start=start)
        return self.answer(content[start:] if way != "norange" else content, start=start if way != "norange" else 0)

    def answer(self, body: bytes, stop: int | None = None, start: int = 0):
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{start + len(body)}")
        self.end_headers()
        self.wfile.write(body[:stop])
        if stop is not None:
            self.close_connection = True


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.content, server.target = [], CONTENT, ""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def address(server, path: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{path}"


def download(server, path: str, out: Path, *more: str) -> int:
    return main(["download", address(server, path), "--out", str(out), *more])


def test_a_file_with_its_size_and_sum(server, tmp_path, capsys):
    assert download(server, "file/vocals.pt?token=x", tmp_path / "in") == 0
    digest = hashlib.sha256(CONTENT).hexdigest()
    printed = capsys.readouterr().out
    assert f"{len(CONTENT)} bytes" in printed and digest in printed and "token" not in printed
    assert (tmp_path / "in/vocals.pt").read_bytes() == CONTENT
    record = json.loads((tmp_path / "in/downloads.json").read_text())
    assert record["vocals.pt"]["url"] == address(server, "file/vocals.pt")  # the query may hold a password
    assert record["vocals.pt"]["sha256"] == digest and record["vocals.pt"]["bytes"] == len(CONTENT)
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["downloads.json", "vocals.pt"]


def test_a_cut_transfer_resumes_where_it_stopped(server, tmp_path):
    assert download(server, "cut/vocals.pt", tmp_path) == 0
    assert (tmp_path / "vocals.pt").read_bytes() == CONTENT
    assert [start for _, start in server.asked] == [0, 300_000, 600_000]


def test_an_earlier_call_is_resumed(server, tmp_path):
    (tmp_path / "vocals.pt.part").write_bytes(CONTENT[:1000])
    assert download(server, "file/vocals.pt", tmp_path) == 0
    assert (tmp_path / "vocals.pt").read_bytes() == CONTENT and server.asked[0][1] == 1000


def test_a_server_without_ranges_sends_the_whole_file_again(server, tmp_path):
    (tmp_path / "vocals.pt.part").write_bytes(b"x" * 1000)
    assert download(server, "norange/vocals.pt", tmp_path) == 0
    assert (tmp_path / "vocals.pt").read_bytes() == CONTENT


def test_cut_off_every_time(server, tmp_path, capsys):
    assert download(server, "alwayscut/vocals.pt", tmp_path) == 2
    assert "cut off 5 times" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "vocals.pt").exists() and (tmp_path / "vocals.pt.part").stat().st_size == 50


def test_another_file_under_the_same_name_is_refused(server, tmp_path, capsys):
    assert download(server, "file/vocals.pt", tmp_path) == 0
    server.content = CONTENT[:-1] + b"x"
    assert download(server, "file/vocals.pt", tmp_path) == 2
    assert "differs from what was fetched before" in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / "vocals.pt").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("target", "words"),
    (("file:///etc/passwd", "is not allowed"), ("ftp://127.0.0.1/x", "expected an address of https or http")),
)
def test_redirects_to_other_schemes_are_refused(server, tmp_path, capsys, target, words):
    server.target = target
    assert download(server, "to/vocals.pt", tmp_path) == 2
    assert words in capsys.readouterr().err
    server.target = address(server, "file/vocals.pt")
    assert download(server, "to/vocals.pt", tmp_path) == 0


def test_a_record_is_listed_and_one_file_of_it_fetched(server, tmp_path, capsys):
    assert download(server, "records/17", tmp_path) == 0
    assert "a.ckpt  1.0 MB" in capsys.readouterr().out and not list(tmp_path.iterdir())
    assert download(server, "records/17", tmp_path, "--file", "a.ckpt") == 0
    assert (tmp_path / "a.ckpt").read_bytes() == CONTENT
    assert download(server, "records/17", tmp_path, "--file", "b.ckpt") == 2
    assert "longer than the announced 5 bytes" in capsys.readouterr().err.splitlines()[-1]
    assert download(server, "records/17", tmp_path, "--file", "c.ckpt") == 2
    assert "expected one of a.ckpt, b.ckpt" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("source", "words"),
    (
        ("file:///etc/passwd", "expected an address of https or http"),
        ("nothing", "a name of `python -m models catalog`"),
        ("amanteur-vocals", "in a browser"),
        ("crlandsc-mdx23", "in a browser"),
        ("http://127.0.0.1:1/", "ends in a file name"),
        ("http://127.0.0.1:1/..", "ends in a file name"),
        ("http://127.0.0.1:1/vocals.pt", "refused"),
    ),
)
def test_wrong_sources(tmp_path, capsys, source, words):
    assert main(["download", source, "--out", str(tmp_path / "in")]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_page_that_is_not_there(server, tmp_path, capsys):
    assert download(server, "gone/vocals.pt", tmp_path) == 2
    assert "the server answers 404" in capsys.readouterr().err.splitlines()[-1]
