"""messages and process: messages arrive unchanged, and every failure is one clear error."""

import io
import sys

import numpy as np
import pytest

from benchmark.workers import process as worker_module
from benchmark.workers.messages import read_message, write_message
from benchmark.workers.process import Worker
from models.running.repository import ROOT


def start(kind: str) -> Worker:
    return Worker([sys.executable, "-m", "tests.worker_fakes", kind], "Fake", cwd=str(ROOT))


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(size=(2, 50_000)).astype(np.float32)


@pytest.mark.parametrize("shape", [None, (0,), (2, 3), (2, 2, 70_000)])
def test_a_message_is_read_as_it_was_written(shape):
    stream = io.BytesIO()
    samples = None if shape is None else np.random.default_rng(0).normal(size=shape).astype(np.float32)
    write_message(stream, "first", samples, text="ä\n")
    write_message(stream, "second")
    stream.seek(0)
    message, received = read_message(stream)
    assert (message["kind"], message["text"]) == ("first", "ä\n")
    assert (received is None) if shape is None else np.array_equal(received, samples)
    assert read_message(stream)[0]["kind"] == "second"
    with pytest.raises(EOFError):
        read_message(stream)


@pytest.mark.parametrize(
    "content", [b"hello\n", b"[]\n", b'{"kind": 1, "shape": null}\n', b'{"kind": "a"}\n', b"\xff\n"]
)
def test_an_invalid_message_is_refused(content):
    with pytest.raises(ValueError, match="expected a message, got"):
        read_message(io.BytesIO(content))


def test_a_message_cut_short_is_the_end():
    stream = io.BytesIO()
    write_message(stream, "stems", np.zeros((2, 5)))
    with pytest.raises(EOFError):
        read_message(io.BytesIO(stream.getvalue()[:-1]))


def test_one_process_answers_every_mixture_and_ends_when_closed(noise):
    worker = start("works")
    assert worker.ready["stems"] == ["vocals", "rest"] and worker.ready["parameters"] == 3
    process = worker._process
    for num_samples in (50_000, 1, 4000):
        stems = worker.separate(noise[:, :num_samples])
        assert list(stems) == ["vocals", "rest"]
        np.testing.assert_array_equal(stems["rest"], noise[:, :num_samples] / 2)
    assert worker._process is process and (worker.cpu_s, worker.peak_memory_bytes) == (0.25, 1 << 20)
    worker.close()
    assert process.returncode == 0
    worker.close()  # once more changes nothing


def test_a_worker_ends_with_the_object_that_started_it():
    worker = start("works")
    process = worker._process
    del worker
    assert process.returncode == 0


def test_a_worker_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(worker_module, "END_S", 0.2)
    worker = start("stays")
    process = worker._process
    worker.close()
    assert process.returncode == -9


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("no start", ChildProcessError, "Fake ended with exit code 7 while warming up: the library is missing$"),
        ("refuses", ValueError, "^Fake: no model here$"),
        ("babbles", ChildProcessError, "Fake sent an invalid answer .*Hello, I am a library"),
        ("old", ChildProcessError, "Fake has another version: expected protocol 1, got 2"),
    ],
)
def test_the_error_of_a_worker_that_is_not_ready_has_the_reason(kind, error, message):
    with pytest.raises(error, match=message):
        start(kind)


def test_a_missing_program_is_an_error():
    with pytest.raises(ChildProcessError, match=r"Fake could not be started \(.*nothing"):
        Worker(["/nothing/python"], "Fake")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "killed",
            r"Fake was ended by signal 9 \(SIGKILL\), perhaps by the kernel for lack of memory while separ",
        ),
        ("one stem", r"Fake answered with .*'shape': \[1, 2, 50000\].*: expected stems like \(2, 50000\)"),
        ("closes", "Fake closed its output while separating"),
    ],
)
def test_after_a_crash_the_next_call_starts_another(kind, message, noise, monkeypatch):
    monkeypatch.setattr(worker_module, "END_S", 0.2)
    worker = start(kind)
    first = worker._process
    for _ in range(2):
        with pytest.raises(ChildProcessError, match=message):
            worker.separate(noise)
    assert worker._process is None and first.returncode is not None
    worker.close()


def test_a_track_that_fails_leaves_the_worker_alive(noise):
    worker = start("fails")
    process = worker._process
    for _ in range(2):
        with pytest.raises(ValueError, match="^Fake: too quiet$"):
            worker.separate(noise)
    assert worker._process is process and process.poll() is None
    worker.close()


@pytest.mark.parametrize("step", ["write_message", "read_message"])
def test_an_interruption_ends_the_worker(step, noise, monkeypatch):
    """Otherwise its late answer would be taken as the answer to the next mixture."""
    worker = start("works")
    process = worker._process

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(worker_module, step, interrupt)
        worker.separate(noise)
    assert process.returncode is not None
    np.testing.assert_array_equal(worker.separate(noise)["vocals"], noise / 2)
    worker.close()
