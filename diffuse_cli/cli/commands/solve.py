"""diffuse solve"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from diffuse_cli.catalog import CATALOG
from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.cli.imputation import fill_table
from diffuse_cli.errors import UsageError
from diffuse_cli.files import plain_name

if TYPE_CHECKING:
    from diffuse_cli.analysis.inverse_problems import Solved
    from diffuse_cli.inverse.measurement import Measurement
    from diffuse_cli.models.model import Model
    from diffuse_cli.models.solving import Way

_ABOUT = """Solve an inverse problem: draw x given a measurement y = A x + noise, beside the exact posterior.

A model of p(x) is told what was measured of a point, in data units, and draws what the point may be, by one method
or by several. Where the law of the data is known, so is p(x | y); each method's samples are compared with it: by a
distance, which stands beside its noise floor, by the KL of a histogram, and by the squared distance between the
mean of the samples and the mean of p(x | y), in shares of the variance that p(x | y) has.

Without a value in --observe or --project, and without --values, the point is drawn from the data, or is the first
row of --signal, and is measured with the noise of --noise.

--calibrate draws many points, of a file rows held out from training, and measures each. Of a method that draws
p(x | y), half of the points lie between the quartiles of its samples, 9 of 10 in the interval of 90 %, and the
ranks of the points among the samples are uniform (p is the chance of so large a deviation). Draws of p(x) have all
this too, whatever y: so the mean squared error of the mean stands beside, and the share by which it is above the
least that is possible, that of the exact posterior mean.

--impute fills the missing cells of a table of your own, like empty ones or NA: each row is measured in the cells
that it has, without noise. --out gets the table as it was, with the mean of the draws in each gap, and their
standard deviation in a further column; with --every-draw the table once for each draw. Other columns of the table
are kept."""
_EPILOG = """\b
Examples:
  diffuse solve --run moons --observe x=0.5
  diffuse solve --exact --dataset moons --observe x=0.5 --noise 0.1 --method tds --method dps
  diffuse solve --exact --dataset eight_gaussians --project 1,1=0.3 --noise 0.1
  diffuse solve --exact --dataset moons --noisy 0.5,1.0 --noise 0.2
  diffuse solve --exact --dataset curves --mask 0.5 --method mmps
  diffuse solve --exact --dataset curves --random 8 --noise 0.05 --method tds
  diffuse solve --exact --dataset moons --observe x --noise 0.1 --calibrate
  diffuse solve --run mine --observe temperature=20 --method mmps --out rows.csv
  diffuse solve --run mine --impute table.csv --out filled.csv"""


@click.command(help=_ABOUT, epilog=_EPILOG)
@options.law_option
@options.measurement_options
@options.option(
    "methods",
    "--method",
    type=options.ChoiceParam("posterior"),
    multiple=True,
    help="How to solve for x; may be repeated.  [default: all that can use the measurement]",
)
@options.option("--sampler", type=options.ChoiceParam("sampler"), help="How to sample.  [default: what suits each]")
@options.option("--steps", type=options.WholeNumber(1, 100_000), help="How many steps.  [default: what suits each]")
@options.option("--grid", type=options.ChoiceParam("grid"), help="How the noise levels are spaced.")
@options.count(100, 2000, "samples of each method")
@options.option(
    "metrics",
    "--metric",
    type=options.ChoiceParam("metric"),
    multiple=True,
    help="Which distance from the exact posterior; may be repeated.  [default: sliced_w2]",
)
@options.repeats
@options.option("--calibrate", is_flag=True, help="Draw many points and measure each: coverage, ranks, MMSE gap.")
@options.option("--pairs", type=options.WholeNumber(20, 100_000), default=200, show_default=True, help="How many.")
@options.option(
    "--draws",
    type=options.WholeNumber(8, 10_000),
    default=64,
    show_default=True,
    help="With --calibrate samples of each pair, with --impute of each row; of tds its population.",
)
@options.option(
    "--impute",
    metavar="FILE[,missing=…]",
    help="Fill the missing cells of a table, each row given its other cells; the result goes to --out.",
)
@options.option("--every-draw", is_flag=True, help="With --impute: the table once for each draw, not the mean and std.")
@options.option(
    "samples",
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write the samples: .npz, .npy or .csv; with several methods a file for each.",
)
@options.option("--field", is_flag=True, help="Draw too what each method adds to the score, in the plane.")
@options.figure_output("the figures/ of the run", flags=("--figure",))
@options.as_json
@options.seed
@options.device
@options.common
def solve(
    opener: options.ModelOption,
    measuring: options.MeasurementOption,
    methods: tuple[str, ...],
    sampler: str | None,
    steps: int | None,
    grid: str | None,
    count: int,
    metrics: tuple[str, ...],
    repeats: int,
    calibrate: bool,
    pairs: int,
    draws: int,
    impute: str | None,
    every_draw: bool,
    samples: Path | None,
    field: bool,
    output: options.FigureOutput,
    as_json: bool,
    seed: int,
) -> None:
    """Draw x given a measurement, calibrate over many, or fill a table."""
    from diffuse_cli.analysis import inverse_problems
    from diffuse_cli.models import sample_files

    signals.at_once()
    if samples is not None:
        sample_files.check_samples_path(samples)
    model = opener.open()
    if impute is not None:
        if measuring.asked or calibrate:
            raise UsageError("--impute takes what is measured from the table; leave out the rest")
        way = _only(methods, sampler, steps, grid)
        fill_table(model, impute, way, samples, draws=draws, seed=seed, every=every_draw, as_json=as_json)
        return
    if samples == sample_files.STDOUT:
        raise UsageError("what the methods come to is printed, so their samples need a file; give --out samples.csv")
    measurement = measuring.measurement(model, seed)
    ways = _ways(methods, measurement, sampler, steps, grid)
    if calibrate:
        _calibrate(model, measurement, ways, _Pairs(pairs, draws, seed), output, as_json=as_json)
        return
    solved = inverse_problems.solve(
        model,
        measurement,
        ways,
        metrics or ("sliced_w2",),
        n=count,
        seed=seed,
        repeats=repeats,
        begin=lambda way: terminal.note(f"{way.text} by {way.method.title}"),
    )
    if solved.exact is not None and solved.exact.as_rare == 0:
        terminal.warn(f"hardly any point of the data gives {measurement.title}, so methods are led astray")
    for solution in solved.solutions:
        terminal.tell_populations(solution.drawn)
        if samples is not None:
            file = samples if len(ways) == 1 else samples.with_stem(f"{samples.stem}-{plain_name(solution.way.text)}")
            sample_files.write_samples(file, solution.drawn, model.standard, model.columns)
    figures = _draw(solved, output, seed, field=field) if not as_json or output.file is not None else []
    if as_json:
        terminal.print_json(_document(solved, count, seed) | ({"figures": figures} if figures else {}))
        return
    _print(solved)
    click.echo("\n".join(figures))


def _only(methods: Sequence[str], sampler: str | None, steps: int | None, grid: str | None) -> "Way":
    """The one method by which a table is filled."""
    from diffuse_cli.models.solving import way_of

    if len(methods) > 1:
        raise UsageError("--impute fills a table by one method; give one --method")
    return way_of(methods[0] if methods else "tds", sampler=sampler, steps=steps, grid=grid)


class _Pairs(NamedTuple):
    """How a method is calibrated."""

    pairs: int
    draws: int
    seed: int


def _calibrate(
    model: "Model",
    measurement: "Measurement",
    ways: "Sequence[Way]",
    asked: _Pairs,
    output: options.FigureOutput,
    *,
    as_json: bool,
) -> None:
    from diffuse_cli.analysis import calibration

    results = calibration.calibrate_ways(model, measurement, ways, **asked._asdict(), begin=terminal.note)
    if as_json:
        terminal.print_json(
            {"run": str(model.folder), "dataset": model.config.dataset, "measured": measurement.words}
            | asked._asdict()
            | {"methods": [each.document() for each in results]}
        )
        return
    from diffuse_cli.figures.posterior import ranks_of_calibrated

    terminal.print_table([each.row() for each in results], header=calibration.HEADER)
    figure = ranks_of_calibrated(model, measurement, results, pairs=asked.pairs, draws=asked.draws, look=output.look)
    click.echo(
        output.save(figure, output.place(model.folder, f"calibration-{_file_name(measurement.words)}{model.suffix}"))
    )


def _draw(solved: "Solved", output: options.FigureOutput, seed: int, *, field: bool) -> list[str]:
    """The paths of the figures."""
    from diffuse_cli.figures import posterior, posterior_field

    drawn = {"": posterior.posterior_of_solved(solved, output.look, seed)}
    if field:
        drawn["-field"] = posterior_field.field_of_solved(solved, output.look, seed)
    name = f"solve-{_file_name(solved.measurement.title)}{solved.model.suffix}"
    places = {ending: output.of_part(ending) for ending in drawn}
    return [
        str(place.save(drawn[ending], place.place(solved.model.folder, name + ending)))
        for ending, place in places.items()
    ]


def _file_name(words: str) -> str:
    """What is measured, for the name of a file."""
    return plain_name(words.replace(" = ", "=").replace(", ", "-").replace(" ", "_"))


def _ways(
    methods: Sequence[str], measurement: "Measurement", sampler: str | None, steps: int | None, grid: str | None
) -> "list[Way]":
    """The methods that are asked for, or all that can use the measurement and the sampler."""
    from diffuse_cli.models.solving import way_of

    if methods:
        return [way_of(text, sampler=sampler, steps=steps, grid=grid) for text in methods]
    ways = []
    for name in CATALOG["posterior"]:
        try:
            way = way_of(name, sampler=sampler, steps=steps, grid=grid)
        except UsageError as error:
            terminal.note(f"{name} is left out: {error}")
            continue
        if measurement.matrix is not None or not way.rule.linear:
            ways.append(way)
    if not ways:
        raise UsageError(f"no method can use {sampler} here; leave out --sampler, or give --sampler ddpm")
    return ways


def _print(solved: "Solved") -> None:
    from diffuse_cli.analysis import inverse_problems

    terminal.print_table(inverse_problems.facts(solved))
    terminal.print_table(inverse_problems.rows(solved), header=inverse_problems.header(solved))
    for solution in solved.solutions:
        if solution.fate is not None:
            terminal.print_table(solution.fate.rows())


def _document(solved: "Solved", count: int, seed: int) -> dict[str, object]:
    measurement, exact = solved.measurement, solved.exact
    return {
        "run": str(solved.model.folder),
        "dataset": solved.model.config.dataset,
        "n": count,
        "seed": seed,
        "measured": measurement.words,
        "matrix": None if measurement.matrix is None else measurement.matrix.tolist(),
        "values": measurement.known_values.tolist(),
        "noise": measurement.std.tolist(),
        "signal": None if measurement.signal is None else measurement.signal.tolist(),
        "exact": exact
        and {
            "log_evidence": exact.log_evidence,
            "as_rare": exact.as_rare,
            "mean": solved.model.standard.to_data(exact.mean).tolist(),
            "std": (solved.model.standard.scale * exact.covariance.diagonal() ** 0.5).tolist(),
        },
        "methods": [solution.document() for solution in solved.solutions],
    }
