"""A worker program for tests of benchmark.workers.process: separates into halves, or fails as its argument says.

python -m tests.worker_fakes KIND
"""

import os
import signal
import sys
import time

from benchmark.workers.messages import PROTOCOL, read_message, write_message


def main() -> None:
    kind = sys.argv[1]
    stream = sys.stdout.buffer
    write_message(stream, "progress", text="warming up")
    if kind == "no start":
        print("the library is missing", file=sys.stderr)
        sys.exit(7)
    if kind == "refuses":
        write_message(stream, "error", reason="no model here")
        sys.exit(1)
    if kind == "babbles":
        print("Hello, I am a library", flush=True)
    protocol = PROTOCOL + (kind == "old")
    write_message(stream, "ready", protocol=protocol, stems=["vocals", "rest"], sample_rate=44100, parameters=3)
    while True:
        try:
            _, mixture = read_message(sys.stdin.buffer)
        except EOFError:
            if kind == "stays":
                time.sleep(60)
            return
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "closes":
            stream.close()
            os.close(1)
            time.sleep(60)
        if kind == "fails":
            write_message(stream, "error", reason="too quiet")
            continue
        halves = [mixture[None] / 2] * (1 if kind == "one stem" else 2)
        import numpy as np

        write_message(stream, "stems", np.concatenate(halves), cpu_s=0.25, peak_memory_bytes=1 << 20)


if __name__ == "__main__":
    main()
