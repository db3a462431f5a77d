"""diffuse plot-reverse"""

from pathlib import Path
from typing import Any

import click

from diffuse_cli.cli import options, signals

EPILOG = """\b
Examples:
  diffuse plot-reverse
  diffuse plot-reverse --run moons --sampler ddpm --steps 1000 --frames 6 --out reverse.pdf"""


@click.command(epilog=EPILOG)
@options.run
@options.trust
@options.method
@options.frames
@options.option("-n", "--count", type=click.IntRange(2), default=2000, show_default=True, help="How many points.")
@options.seed
@options.figure_out(where="the run's figures/")
@options.device
@options.common
@click.pass_context
def plot_reverse(
    ctx: click.Context,
    run_name: str,
    outputs: Path,
    trust: bool,
    frames: int,
    count: int,
    seed: int,
    out: Path | None,
    dark: bool,
    dpi: int,
    **_method: Any,
) -> None:
    """Draw noise turning into data under a run, the same points in every frame."""
    from diffuse_cli import figures, generate, runs

    signals.at_once()

    run = runs.open_run(runs.find(outputs, run_name), trust=trust)
    method = options.gather_method(ctx, run.config)
    drawn = generate.draw(run, method, count, seed, trajectory=True)
    figure = figures.reverse(run, method, drawn, frames=frames, dark=dark)
    if out is None:
        own = method == generate.own_method(run.config) and not dark
        name = "reverse" if own else f"reverse-{method.label}{'-dark' if dark else ''}"
        out = run.folder / "figures" / f"{name}.png"
        out.parent.mkdir(exist_ok=True)
    options.save_figure(figure, out, dpi)
