"""diffuse sample"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from diffuse_cli.cli import options, signals, terminal

if TYPE_CHECKING:
    from diffuse_cli.datasets.dataset import Dataset
    from diffuse_cli.models.draw import Drawn, Method
    from diffuse_cli.models.model import Model

_EPILOG = """\b
Examples:
  diffuse sample --steps 50 --sampler ddim
  diffuse sample --run moons -n 10000 --sampler ddpm --steps 1000 --out samples.csv
  diffuse sample --sampler ddim:eta=0.5 --trajectory --out path.npz --plot
  diffuse sample --run moons --label lower --out lower.csv
  diffuse sample --run mine --given temperature=20 --plot
  diffuse sample --run scenes --prompt "the left moon" --plot
  diffuse sample --exact --dataset swiss_roll --schedule cosine --sampler ddim --steps 20 --plot"""


@click.command(epilog=_EPILOG)
@options.model_option
@options.method_options
@options.count(1, 2000, "samples")
@options.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to: .npz, .npy or .csv; - for CSV on stdout.  [default: the run's samples/]",
)
@options.option("--trajectory", is_flag=True, help="Keep the whole way from noise to samples (.npz only).")
@options.option(
    "--plot",
    is_flag=True,
    help="Draw the samples beside the data, next to the file; with --trajectory the way to them too.",
)
@options.as_json
@options.seed
@options.device
@options.common
def sample_command(
    opener: options.ModelOption,
    sampling: options.MethodOption,
    count: int,
    out: Path | None,
    trajectory: bool,
    plot: bool,
    as_json: bool,
    seed: int,
) -> None:
    """Draw samples from a run, or from the exact denoiser of a dataset.

    The steps need not be those of training: any number works with any run. Sampler, steps and grid are the run's own
    unless given here. With --exact nothing needs training, and what error is left is the sampler's. What a trained
    network takes for the clean sample is kept within the range of its training points, for few points with a margin;
    the samples that lie on its edge are counted.

    A conditional run draws points of one label with --label, of all labels with --label all, in their true
    proportions, and without it as one that is told none. The label of each sample is written beside it. A run with
    given columns draws p(x | values) with --given, and one that knows words draws what a sentence is true of with
    --prompt.
    """
    from diffuse_cli.errors import UsageError
    from diffuse_cli.models import draw, latent, sample_files

    signals.at_once()
    if out is not None:
        sample_files.check_samples_path(out, trajectory=trajectory)
        if out == sample_files.STDOUT and (plot or as_json):
            raise UsageError("with --out - the samples are all there is on stdout; leave out --plot and --json")
    model = latent.decoded(opener.open())
    dataset = model.dataset() if plot else None  # a file may have gone: better told now
    method = sampling.method(model.config)
    name = f"{method.label}{model.suffix}-{count}-seed{seed}{'-path' if trajectory else ''}.npz"
    file = out or model.folder / "samples" / name
    drawn = draw.draw_samples(model, method, count, seed, trajectory=trajectory)
    if out is None:
        file.parent.mkdir(parents=True, exist_ok=True)
    sample_files.write_samples(file, drawn, model.standard, model.columns)
    document = {
        "run": str(model.folder),
        "n": count,
        "sampler": method.sampler,
        "grid": method.grid,
        "steps": method.steps,
        "evals": drawn.evals,
        "seed": seed,
        "label": opener.label,
        "given": opener.given,
        "prompt": opener.prompt,
        "seconds": round(drawn.seconds, 3),
        "clipped": drawn.clipped,
        "file": str(file),
    }
    if (found := drawn.populations) is not None:
        document["particles"] = {name: getattr(found, name).tolist() for name in found._fields}
    if dataset is not None:
        document |= _drawn(model, method, drawn, dataset, file)
    if as_json:
        terminal.print_json(document)
    elif file != sample_files.STDOUT:
        keys = ("file", "figure", "reverse_figure")
        click.echo("\n".join(str(document[key]) for key in keys if key in document))
    terminal.note(f"{count:,} samples by {method.title}, {drawn.evals} network evaluations each, {drawn.seconds:.2f} s")
    terminal.tell_populations(drawn)
    terminal.tell_clipped(drawn)


def _drawn(model: "Model", method: "Method", drawn: "Drawn", dataset: "Dataset", file: Path) -> dict[str, str]:
    """Draw the figures next to the file of samples: their names in the document, and their paths."""
    from diffuse_cli.figures import samples, strips
    from diffuse_cli.plots import style

    paths = {"figure": file.with_suffix(".png"), "reverse_figure": file.with_name(f"{file.stem}-reverse.png")}
    drawings = {"figure": samples.samples_drawing(model, method, drawn, dataset)}
    if drawn.path is not None:
        drawings["reverse_figure"] = strips.reverse_drawing(model, method, drawn, frames=strips.REVERSE_FRAMES)
    return {name: str(style.save_figure(drawing(), paths[name])) for name, drawing in drawings.items()}
