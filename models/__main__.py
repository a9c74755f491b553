"""Command line: ``python -m models COMMAND``; ``--help`` lists the commands.

python -m models separate song.mp3 --out stems/
python -m models ensemble --validate MUSDB18-HQ --checkpoint small --checkpoint tiny --out ensemble.yaml
python -m models train --preset small --data MUSDB18-HQ --out runs/small --max-minutes 60
python -m models prepare --data MUSDB18-HQ --out packs/musdb
python -m models corrupt --data MUSDB18-HQ --kind label-noise --out dirty --seed 0
python -m models clean --data dirty --checkpoint runs/first/best --out cleaned
python -m models refine --preset tiny --data dirty --out runs/refined --minutes 60
python -m models render --midi MIDI --soundfont FluidR3_GM.sf2 --out rendered
python -m models import weights/separator.ckpt --out oBSRNN-SIMO
"""

import argparse
import sys

from models.commands import clean, corrupt, refine, render
from models.commands import ensemble as ensemble_command
from models.commands import import_weights as importing
from models.commands import separate as separate_file
from models.commands import train as commands
from models.importing import download
from models.running.console import run_command


def main(arguments: list[str] | None = None) -> int:
    """Run a command; user errors are one line on stderr.

    Returns:
        The exit code: 0, 2 for bad input, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m models", description="Band-Split RNN music demixing.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, add_arguments, run in (
        ("separate", "cut songs into stems", separate_file.add_arguments, separate_file.run),
        (
            "ensemble",
            "find the weights of an ensemble",
            ensemble_command.add_arguments,
            ensemble_command.run,
        ),
        ("train", "train a preset's network, or go on", commands.add_train_arguments, commands.run_train),
        (
            "prepare",
            "decode data folders into a pack for training",
            commands.add_prepare_arguments,
            commands.run_prepare,
        ),
        ("corrupt", "make a data set's stems dirty", corrupt.add_arguments, corrupt.run),
        ("clean", "find and mend what is dirty in a data set", clean.add_arguments, clean.run),
        ("refine", "train, clean by what was learnt, and train again", refine.add_arguments, refine.run),
        ("render", "render MIDI songs into stems for training", render.add_arguments, render.run),
        (
            "import",
            "make a checkpoint of public BSRNN weights",
            importing.add_import_arguments,
            importing.run_import,
        ),
        (
            "catalog",
            "list public BSRNN weights that can be had",
            importing.add_catalog_arguments,
            importing.run_catalog,
        ),
        ("download", "fetch one file of public weights", download.add_arguments, download.run),
    ):
        subparser = subparsers.add_parser(name, help=text, description=text)
        add_arguments(subparser)
        subparser.set_defaults(run=run)
    args = parser.parse_args(arguments)
    return run_command(lambda: args.run(args), "error")


if __name__ == "__main__":
    sys.exit(main())
