"""Command line: ``python -m models COMMAND``, or ``bandsplit COMMAND``; ``--help`` lists the commands.

python -m models separate song.mp3 --out stems/
python -m models separate MUSIC --two-stems vocals --format mp3 --jobs 2
python -m models list
python -m models export small --onnx small.onnx
python -m models page --runtime npm --out page
python -m models ensemble --validate MUSDB18-HQ --checkpoint small --checkpoint tiny --out ensemble.yaml
python -m models train --preset small --data MUSDB18-HQ --out runs/small --max-minutes 60
python -m models train --init small --unlabelled SONGS --data MUSDB18-HQ --out runs/semi --max-minutes 60
python -m models average runs/a/last runs/b/last --validate MUSDB18-HQ --out runs/mean
python -m models prepare --data MUSDB18-HQ --out packs/musdb
python -m models corrupt --data MUSDB18-HQ --kind label-noise --out dirty --seed 0
python -m models clean --data dirty --checkpoint runs/first/best --out cleaned
python -m models refine --preset tiny --data dirty --out runs/refined --minutes 60
python -m models render --midi MIDI --soundfont FluidR3_GM.sf2 --out rendered
python -m models sing --voices VOICE_BANKS --midi MIDI --out sung
python -m models import weights/separator.ckpt --out oBSRNN-SIMO
"""

import argparse
import sys
from pathlib import Path

from models import arguments as command_arguments
from models import checkpoint_arguments, rendering_arguments
from models.running.console import run_command

INSTALLED = "bandsplit"
"""What pip names this command line."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; user errors are one line on stderr.

    Returns:
        The exit code: 0, 2 for bad input, 130 after Ctrl-C.
    """
    prog = INSTALLED if Path(sys.argv[0]).stem == INSTALLED else "python -m models"
    parser = argparse.ArgumentParser(prog=prog, description="Band-Split RNN music demixing.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, add_arguments, run in (
        ("separate", "separate songs into stems", command_arguments.add_separate_arguments, _separate),
        ("export", "write a network as an ONNX graph", command_arguments.add_export_arguments, _export),
        ("page", "write a web page that separates songs", command_arguments.add_page_arguments, _page),
        ("ensemble", "find the weights of an ensemble", command_arguments.add_ensemble_arguments, _ensemble),
        ("train", "train a preset's network, or resume a run", command_arguments.add_train_arguments, _train),
        ("average", "average the weights of training runs", checkpoint_arguments.add_average_arguments, _average),
        ("prepare", "decode data folders into a pack for training", command_arguments.add_prepare_arguments, _prepare),
        ("corrupt", "make a data set's stems dirty", command_arguments.add_corrupt_arguments, _corrupt),
        ("clean", "find and mend dirty stems in a data set", command_arguments.add_clean_arguments, _clean),
        ("refine", "train, clean by what was learnt, train again", command_arguments.add_refine_arguments, _refine),
        ("render", "render MIDI songs into stems for training", rendering_arguments.add_render_arguments, _render),
        ("sing", "sing MIDI melodies with voice banks for training", rendering_arguments.add_sing_arguments, _sing),
        ("list", "list the installed checkpoints", checkpoint_arguments.add_list_arguments, _list),
        ("import", "make a checkpoint of public BSRNN weights", checkpoint_arguments.add_import_arguments, _import),
        ("catalog", "list public BSRNN weights", checkpoint_arguments.add_catalog_arguments, _catalog),
        ("download", "fetch one file of public weights", checkpoint_arguments.add_download_arguments, _download),
    ):
        subparser = subparsers.add_parser(name, help=text, description=text)
        add_arguments(subparser)
        subparser.set_defaults(run=run)
    args = parser.parse_args(arguments)
    return run_command(lambda: args.run(args), "error")


# A command's modules are imported when it runs: --help and a wrong argument answer without torch.


def _separate(args: argparse.Namespace) -> int:
    from models.commands.separate import run

    return run(args)


def _export(args: argparse.Namespace) -> int:
    from models.commands.export import run

    return run(args)


def _page(args: argparse.Namespace) -> int:
    from models.commands.page import run

    return run(args)


def _ensemble(args: argparse.Namespace) -> int:
    from models.commands.ensemble import run

    return run(args)


def _train(args: argparse.Namespace) -> int:
    from models.commands.train import run_train

    return run_train(args)


def _average(args: argparse.Namespace) -> int:
    from models.commands.average import run

    return run(args)


def _prepare(args: argparse.Namespace) -> int:
    from models.commands.train import run_prepare

    return run_prepare(args)


def _corrupt(args: argparse.Namespace) -> int:
    from models.commands.corrupt import run

    return run(args)


def _clean(args: argparse.Namespace) -> int:
    from models.commands.clean import run

    return run(args)


def _refine(args: argparse.Namespace) -> int:
    from models.commands.refine import run

    return run(args)


def _render(args: argparse.Namespace) -> int:
    from models.commands.render import run

    return run(args)


def _sing(args: argparse.Namespace) -> int:
    from models.commands.sing import run

    return run(args)


def _list(args: argparse.Namespace) -> int:
    from models.commands.list_checkpoints import run

    return run(args)


def _import(args: argparse.Namespace) -> int:
    from models.commands.import_weights import run_import

    return run_import(args)


def _catalog(args: argparse.Namespace) -> int:
    from models.commands.import_weights import run_catalog

    return run_catalog(args)


def _download(args: argparse.Namespace) -> int:
    from models.importing.download import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
