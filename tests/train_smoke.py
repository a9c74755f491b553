"""Train ``small`` from random weights for a minute, kill it half-way, resume it, and check that the SDR rose.

    python tests/train_smoke.py --data MUSDB18 --out out/train-smoke

``make train-smoke`` runs this program.
"""

import argparse
import csv
import shutil
import subprocess
import sys
import time
from pathlib import Path

STEPS, VALIDATE_EVERY = 48, 12


def validations(folder: Path) -> dict[int, float]:
    """Validation SDR in dB by step, as the run has saved it so far."""
    file = folder / "metrics.csv"
    if not file.exists():
        return {}
    with file.open() as stream:
        return {int(row["step"]): float(row["valid_sdr"]) for row in csv.DictReader(stream) if row.get("valid_sdr")}


def main() -> int:
    """Exit code 0 if the run survived and the SDR rose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, nargs="+")
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    shutil.rmtree(options.out / "run", ignore_errors=True)
    options.out.mkdir(parents=True, exist_ok=True)
    models = [sys.executable, "-m", "models"]
    subprocess.run([*models, "prepare", "--data", *options.data, "--out", str(options.out / "pack")], check=True)
    train = [*models, "train", "--preset", "small", "--data", str(options.out / "pack"), "--out"]
    train += [
        str(options.out / "run"),
        "--set",
        f"train.steps={STEPS}",
        "--set",
        f"train.validate_every={VALIDATE_EVERY}",
    ]

    first = subprocess.Popen(train)
    while first.poll() is None and STEPS // 2 not in validations(options.out / "run"):
        time.sleep(0.1)
    if first.poll() is not None:
        print(f"train-smoke: the training ended by itself, exit code {first.returncode}", file=sys.stderr)
        return 1
    first.kill()
    first.wait()
    before = validations(options.out / "run")
    print(f"killed (SIGKILL) after step {max(before)}; resuming")
    subprocess.run([*train, "--resume"], check=True)

    after = validations(options.out / "run")
    if {step: after[step] for step in before} != before or list(after) != list(
        range(VALIDATE_EVERY, STEPS + 1, VALIDATE_EVERY)
    ):
        print(f"train-smoke: the resumed run does not go on from the killed one: {before}, {after}", file=sys.stderr)
        return 1
    print(
        "validation SDR, mean of four stems: " + ", ".join(f"step {step} {sdr:.2f} dB" for step, sdr in after.items())
    )
    if not after[STEPS] > after[max(before)] > after[VALIDATE_EVERY]:
        print("train-smoke: it did not rise", file=sys.stderr)
        return 1
    print(f"rose by {after[STEPS] - after[VALIDATE_EVERY]:.2f} dB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
