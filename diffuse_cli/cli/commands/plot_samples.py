"""diffuse plot-samples"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, signals
from diffuse_cli.errors import UsageError
from diffuse_cli.plots.formats import Look

MOST = 12  # as many as a figure takes
EPILOG = """\b
Examples:
  diffuse plot-samples
  diffuse plot-samples --dataset s_curve --dataset swiss_roll --dataset moons
  diffuse plot-samples --run moons --run rings --sampler ddim --steps 20 --out samples.pdf"""


@click.command(epilog=EPILOG)
@options.several_runs("A run, its data above its samples; may be repeated.  [default: latest, without --dataset]")
@options.option(
    "datasets",
    "--dataset",
    type=options.ChoiceParam("dataset"),
    multiple=True,
    help="A dataset; may be repeated.",
)
@options.trust
@options.method_options
@options.count(2, 2000, "points of each")
@options.seed
@options.figure_out(Path("samples.png"))
@options.device
@options.common
@click.pass_context
def plot_samples_command(
    ctx: click.Context,
    run_names: tuple[str, ...],
    datasets: tuple[str, ...],
    outputs: Path,
    trust: bool,
    count: int,
    seed: int,
    out: Path,
    look: Look,
    dpi: int,
    **_choices: Any,
) -> None:
    """Draw several runs or datasets in one grid, each on its own scale: the data, and below them the samples."""
    import numpy as np

    from diffuse_cli import catalog
    from diffuse_cli.figures import samples
    from diffuse_cli.models import run_folder
    from diffuse_cli.models.model import model_of_run
    from diffuse_cli.plots.collection import Column, collection_figure

    signals.at_once()
    names = run_names or (() if datasets else ("latest",))
    _check(ctx, names, datasets)
    opened = [
        model_of_run(run_folder.open_run(run_folder.find_run(outputs, name), trust=trust), trust=trust)
        for name in names
    ]
    columns: list[tuple[str, Column]] = []
    for model in opened:
        method = options.gather_method(ctx, model.config)
        columns.append((model.name, samples.samples_column(model, method, model.dataset(), count=count, seed=seed)))
    for choice in datasets:
        dataset = catalog.build("dataset", choice)
        drawn = dataset.draw(np.random.default_rng(seed), count)
        columns.append((catalog.short_name(choice), Column(drawn, view=dataset.view)))
    options.write_figure(collection_figure(columns, **look._asdict()), out, dpi)


def _check(ctx: click.Context, run_names: tuple[str, ...], datasets: tuple[str, ...]) -> None:
    """Raises UsageError for too many panels, and for a method where there is nothing to sample from."""
    if (count := len(run_names) + len(datasets)) > MOST:
        raise UsageError(f"{count} panels do not fit beside each other; give at most {MOST} runs and datasets")
    said = [name for name in ("sampler", "sampler_steps", "grid") if options.on_command_line(ctx, name)]
    if said and not run_names:
        flags = " and ".join("--steps" if name == "sampler_steps" else f"--{name}" for name in said)
        raise UsageError(f"{flags}: datasets are drawn from directly; give a --run to sample from")
