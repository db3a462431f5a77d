"""diffuse sample"""

from pathlib import Path

import click

from diffuse_cli.cli import options, signals, terminal

EPILOG = """\b
Examples:
  diffuse sample --steps 50 --sampler ddim
  diffuse sample --run moons -n 10000 --sampler ddpm --steps 1000 --out samples.csv
  diffuse sample --sampler ddim:eta=0.5 --trajectory --out path.npz --plot"""


@click.command(epilog=EPILOG)
@options.run
@options.trust
@options.method
@options.option("-n", "--count", type=click.IntRange(1), default=2000, show_default=True, help="How many samples.")
@options.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to: .npz, .npy or .csv; - for CSV on stdout.  [default: the run's samples/]",
)
@options.option("--trajectory", is_flag=True, help="Keep the whole way from noise to samples (.npz only).")
@options.option("--plot", is_flag=True, help="Draw the samples beside the data, next to the file.")
@options.as_json
@options.seed
@options.device
@options.common
@click.pass_context
def sample(
    ctx: click.Context,
    run_name: str,
    outputs: Path,
    trust: bool,
    count: int,
    out: Path | None,
    trajectory: bool,
    plot: bool,
    as_json: bool,
    seed: int,
    **_method,
) -> None:
    """Draw samples from a run.

    The steps need not be those of training: any number works with any run. Sampler, steps and grid are the run's own
    unless given here.
    """
    from diffuse_cli import experiment, generate, runs, sample_files
    from diffuse_cli.errors import UsageError

    signals.at_once()
    if out is not None:
        sample_files.check(out, trajectory=trajectory)
        if out == sample_files.STDOUT and (plot or as_json):
            raise UsageError("with --out - the samples are all there is on stdout; leave out --plot and --json")
    run = runs.open_run(runs.find(outputs, run_name), trust=trust)
    dataset = experiment.dataset_of(run.config, trust=trust) if plot else None  # a file may have gone: better told now
    method = options.gather_method(ctx, run.config)
    file = out or run.folder / "samples" / f"{method.label}-{count}-seed{seed}{'-path' if trajectory else ''}.npz"
    drawn = generate.draw(run, method, count, seed, trajectory=trajectory)
    if out is None:
        file.parent.mkdir(exist_ok=True)
    sample_files.write(file, drawn, run.standard)
    said = {"run": str(run.folder), "n": count, "sampler": method.sampler, "grid": method.grid, "steps": method.steps}
    said |= {"evals": drawn.evals, "seed": seed, "seconds": round(drawn.seconds, 3), "file": str(file)}
    if plot:
        from diffuse_cli import figures
        from diffuse_cli.plots import style

        figure = figures.samples(run, method, drawn, dataset)
        said["figure"] = str(style.save(figure, file.with_suffix(".png")))
    if as_json:
        terminal.print_json(said)
    elif file != sample_files.STDOUT:
        click.echo("\n".join(said[key] for key in ("file", "figure") if key in said))
    terminal.note(
        f"{count:,} samples by {method.sampler} in {method.steps} steps, "
        f"{drawn.evals} network evaluations each, {drawn.seconds:.2f} s"
    )
