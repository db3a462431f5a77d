"""diffuse plot-samples"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, signals
from diffuse_cli.plots.formats import Look

EPILOG = """\b
Examples:
  diffuse plot-samples
  diffuse plot-samples --dataset s_curve --dataset swiss_roll --dataset moons
  diffuse plot-samples --run moons --run rings --sampler ddim --steps 20 --out samples.pdf"""


@click.command(epilog=EPILOG)
@options.option(
    "run_names",
    "--run",
    metavar="NAME|PATH|latest",
    multiple=True,
    help="A run, its data above its samples; may be repeated.  [default: latest, without --dataset]",
    shell_complete=options.complete_run,
)
@options.option(
    "datasets",
    "--dataset",
    type=options.ChoiceParam("dataset"),
    multiple=True,
    help="A dataset; may be repeated.",
)
@options.outputs
@options.trust
@options.method
@options.count(2, 2000, "points of each")
@options.seed
@options.figure_out(Path("samples.png"))
@options.device
@options.common
@click.pass_context
def plot_samples(
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

    from diffuse_cli import catalog, figures, runs, sources
    from diffuse_cli.plots.collection import Column, collection

    signals.at_once()
    names = run_names or (() if datasets else ("latest",))
    opened = [sources.of_run(runs.open_run(runs.find(outputs, name), trust=trust), trust=trust) for name in names]
    columns = {}
    for source in opened:
        method = options.gather_method(ctx, source.config)
        columns[source.name] = figures.column(source, method, source.dataset(), count=count, seed=seed)
    for choice in datasets:
        dataset = catalog.build("dataset", choice)
        name = catalog.short(choice)
        columns[name if name not in columns else f"{name} (data)"] = Column(
            dataset.draw(np.random.default_rng(seed), count), view=dataset.view
        )
    options.save_figure(collection(columns, **look._asdict()), out, dpi)
