"""diffuse plot-samples"""

from pathlib import Path

import click

from diffuse_cli.cli import options, signals
from diffuse_cli.cli.figure_command import figure_options, named_after_row
from diffuse_cli.errors import UsageError
from diffuse_cli.figures.options import SamplesOptions
from diffuse_cli.figures.table import FIGURES

_MOST_COLUMNS = 12  # as many as a figure takes


@named_after_row("plot-samples")
@options.several_runs("A run, its data above its samples; may be repeated.  [default: latest, without --dataset]")
@options.option(
    "datasets",
    "--dataset",
    type=options.ChoiceParam("dataset"),
    multiple=True,
    help="A dataset; may be repeated.",
)
@options.label_option("What the runs are told, and the label of the points of datasets; all colours them by label.")
@options.method_options
@figure_options(FIGURES["plot-samples"])
@options.figure_output("samples.png")
@options.device
@options.common
def plot_samples_command(
    runs: options.RunsOption,
    datasets: tuple[str, ...],
    label: str | None,
    sampling: options.MethodOption,
    asked: SamplesOptions,
    output: options.FigureOutput,
) -> None:
    """The samples of runs, and datasets, side by side."""
    from diffuse_cli import catalog
    from diffuse_cli.config import ALL
    from diffuse_cli.datasets.dataset import parts_of
    from diffuse_cli.figures import samples
    from diffuse_cli.models import build, latent
    from diffuse_cli.models.model import model_of_run
    from diffuse_cli.plots.collection import Column, collection_figure

    signals.at_once()
    if not runs.names and not datasets:
        runs = runs._replace(names=("latest",))
    _check(runs, datasets, sampling)
    columns: list[tuple[str, Column]] = []
    for model in [model_of_run(run, trust=runs.trust) for run in runs.open()]:
        if label is not None:
            model = model.with_all_labels() if label == ALL else model.with_label(label)
        model = latent.decoded(model)
        column = samples.samples_column(
            model, sampling.method(model.config), model.dataset(), count=asked.count, seed=asked.seed
        )
        columns.append((model.name, column))
    for choice in datasets:
        whole = catalog.build("dataset", choice)
        ((name, dataset), *_) = [(None, whole)] if label == ALL else parts_of(whole, label).items()
        column = samples.data_column(dataset, count=asked.count, seed=asked.seed, colored=label == ALL)
        columns.append((", ".join(filter(None, [build.title_of_data(choice), name])), column))
    figure = collection_figure(columns, dark=output.look.dark, width=output.look.width)
    click.echo(output.save(figure, output.file or Path("samples.png")))


def _check(runs: options.RunsOption, datasets: tuple[str, ...], sampling: options.MethodOption) -> None:
    """Raises UsageError for too many panels, and for a method where there is nothing to sample from."""
    if (panels := len(runs.names) + len(datasets)) > _MOST_COLUMNS:
        raise UsageError(
            f"{panels} panels do not fit beside each other; give at most {_MOST_COLUMNS} runs and datasets"
        )
    if not runs.names and (flags := sampling.typed()):
        raise UsageError(f"{' and '.join(flags)}: datasets are drawn from directly; give a --run to sample from")
