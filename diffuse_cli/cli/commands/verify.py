"""diffuse verify"""

from typing import TYPE_CHECKING, NamedTuple

import click

from diffuse_cli.cli import options, signals, terminal, verified_losses
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.formats import Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from diffuse_cli.analysis.convergence_order import Order, Stretch
    from diffuse_cli.config import Config

_EPILOG = """\b
Examples:
  diffuse verify
  diffuse verify --sampler heun --sampler dpmpp_3m --dataset two_spirals
  diffuse verify --sampler mypackage.mymodule:my_sampler --steps 40,80,160
  diffuse verify --out orders.pdf --json
  diffuse verify --losses
  diffuse verify --losses --loss lsd --loss meanflow:p=0 --dataset moons"""

_POINTS = 32
_FEWEST, _MOST = 3, 10_000  # step counts, and steps


@click.command(epilog=_EPILOG)
@options.option(
    "samplers",
    "--sampler",
    type=options.ChoiceParam("sampler"),
    multiple=True,
    help="A sampler to verify; may be repeated.  [default: all that are not random]",
)
@options.with_source("steps")
@options.with_source("times")
@options.settings_options("dataset", "schedule", "timesteps", "seed")
@options.option(
    "--steps",
    type=options.Counts(_MOST),
    default="20,40,80,160,320",
    show_default=True,
    help=f"In how many steps; the order is the slope over the last {_FEWEST}.",
)
@options.option(
    "--times",
    type=options.Numbers(),
    default="0.9,0.2",
    show_default=True,
    help="From which t to which, from 1 down to 1/T.",
)
@options.option("--losses", is_flag=True, help="Verify the losses of flow maps, and not samplers.")
@options.option(
    "only",
    "--loss",
    type=options.ChoiceParam("loss"),
    multiple=True,
    help="With --losses, a loss to verify; may be repeated.  [default: all of flow maps]",
)
@options.figure_output("no figure")
@options.as_json
@options.device
@options.common
def verify(
    samplers: tuple[str, ...],
    settings: options.Settings,
    steps: options.Given[tuple[int, ...]],
    times: options.Given[tuple[float, ...]],
    losses: bool,
    only: tuple[str, ...],
    output: options.FigureOutput,
    as_json: bool,
) -> None:
    """Verify that each solver converges as fast as theory says. Needs no run.

    A method of order p ends N^-p as far from where the exact flow does, in N steps. Here the denoiser is the exact one
    of the data, so that all error is the solver's; 32 points go from one noisy level to another, in double precision,
    in steps that are equal in log-SNR, or in (sigma/alpha)^(1/7) for the samplers that the grid karras suits. Errors
    are distances from where an adaptive solver of a tolerance of 1e-12 takes the points, in the root mean square, in
    model space.

    An order passes within 0.15 of theory, from the third on within 0.3. If any fails, so does the command. Finer
    levels (--times 0.9,0.05) are harder: points near the divide between two parts of the data take sides late.

    With --losses, each loss of a flow map is asked at the exact map u* of a Gaussian, of a mixture on a line, and of
    --dataset where it is given (which takes minutes), in double precision: its residual without noise is below 1e-4
    there (1e-3 where the flow is solved), its gradient along four ways away from u* is 0 within 5 standard errors, and
    a little off it leads back, 0.05 to 20 times as steeply as the true loss |u - u*|^2 does. Losses that are exact for
    short steps are asked at such. The weight of meanflow:p=1 depends on a noisy residual and biases the flow: it fails.

    \b
    Keys of --json:
      dataset, schedule, timesteps, times, log_snr (at these), points, steps,
      reference_error  how far off the adaptive solver may be
      passed           whether all samplers did
      figure           with --out
      samplers, a list of:
        sampler, theory, observed (null if all is rounding, or not finite),
        passed (null if all is rounding), evals, errors (for each of steps)
    \b
    Keys of --json with --losses:
      dataset          null without one
      seed
      passed           whether all did
      not_checked      losses that learn no flow map
      losses, a list of:
        loss, data, residual, allowed (the largest residual that passes), passed,
        gradient, gradient_stderr, pull, pull_stderr (for each way away from u*)
    """
    signals.at_once()
    typed = {"--sampler": bool(samplers), "--steps": steps.typed, "--times": times.typed}
    verified_losses.check_options(only, asked=losses, of_orders=typed | {"--out": output.file is not None})
    if losses:
        verified_losses.verify_losses(only, settings, as_json=as_json)
    else:
        _verify_orders(samplers, settings, steps.value, times.value, output, as_json=as_json)


def _verify_orders(
    samplers: tuple[str, ...],
    settings: options.Settings,
    steps: tuple[int, ...],
    times: tuple[float, ...],
    output: options.FigureOutput,
    *,
    as_json: bool,
) -> None:
    from diffuse_cli.analysis import convergence_order

    config = settings.config()
    _check(steps, times, config.timesteps)
    chosen = {name: convergence_order.build_deterministic(name) for name in samplers or convergence_order.with_order()}
    terminal.note(f"Solving the exact flow of {config.dataset}, then {len(chosen)} samplers in {_list(steps)} steps")
    flow = convergence_order.exact_stretch(config, (times[0], times[1]), points=_POINTS)
    orders = {name: convergence_order.order(flow, sampler, steps) for name, sampler in chosen.items()}
    result = _Result(config, (times[0], times[1]), steps, flow, orders)
    document = _document(result)
    if output.file is not None:
        document["figure"] = str(output.save(_draw(result, output.look), output.file))
    if as_json:
        terminal.print_json(document)
    else:
        _print(result)
        if output.file is not None:
            click.echo(document["figure"])
    if failed := [f"{name} {_number(each.observed)}" for name, each in orders.items() if each.passed is False]:
        raise DiffuseError(
            f"{len(failed)} of {len(orders)} samplers do not show their order: {', '.join(failed)}. "
            "An order sets in only once steps are small: more --steps may show it"
        )


class _Result(NamedTuple):
    """What was asked, and what came of it: the orders by sampler."""

    config: "Config"
    times: tuple[float, float]
    steps: tuple[int, ...]
    flow: "Stretch"
    orders: "dict[str, Order]"


def _check(steps: tuple[int, ...], times: tuple[float, ...], timesteps: int) -> None:
    if len(steps) < _FEWEST:
        raise UsageError(f"--steps {_list(steps)}: a slope needs {_FEWEST} different numbers of steps or more")
    if len(times) != 2 or not 1 >= times[0] > times[1] >= 1 / timesteps:
        given = ",".join(f"{t:g}" for t in times)
        raise UsageError(f"--times {given}: two times are needed, the noisier first, from 1 to 1/T = {1 / timesteps:g}")


def _document(result: _Result) -> dict[str, object]:
    return {
        "dataset": result.config.dataset,
        "schedule": result.config.schedule,
        "timesteps": result.config.timesteps,
        "times": list(result.times),
        "log_snr": list(result.flow.log_snr),
        "points": len(result.flow.start),
        "steps": list(result.steps),
        "reference_error": result.flow.accuracy,
        "passed": all(order.passed is not False for order in result.orders.values()),
        "samplers": [
            {
                "sampler": name,
                "theory": order.theory,
                "observed": order.observed,
                "passed": order.passed,
                "evals": order.evals.tolist(),
                "errors": order.errors.tolist(),
            }
            for name, order in result.orders.items()
        ],
    }


def _draw(result: _Result, look: Look) -> "Figure":
    import numpy as np

    from diffuse_cli.models import build
    from diffuse_cli.plots.convergence import ErrorCurve, convergence_figure

    (noisier, cleaner), data = result.times, build.title_of_data(result.config.dataset)
    return convergence_figure(
        np.array(result.steps),
        {
            name: ErrorCurve(order.theory, order.errors, order.observed, order.passed)
            for name, order in result.orders.items()
        },
        rounding=result.flow.rounding,
        subject=f"{data}, {result.config.schedule} schedule, t = {noisier:g} to {cleaner:g}",
        dark=look.dark,
        width=look.width,
    )


def _print(result: _Result) -> None:
    (noisier, cleaner), (first, last) = result.times, result.flow.log_snr
    click.echo(
        f"The exact flow of {result.config.dataset} from t = {noisier:g} to {cleaner:g}, "
        f"log-SNR {first:.2f} to {last:.2f}; its end is known to {result.flow.accuracy:.0e}"
    )
    verdicts = {True: "pass", False: "FAIL", None: "all rounding"}
    rows = [
        (name, str(order.theory), _number(order.observed), f"{order.errors[-1]:.2g}", verdicts[order.passed])
        for name, order in result.orders.items()
    ]
    terminal.print_table(rows, header=("sampler", "theory", "observed", f"error at {result.steps[-1]} steps", ""))


def _number(observed: float | None) -> str:
    return "-" if observed is None else f"{observed:.2f}"


def _list(steps: tuple[int, ...]) -> str:
    return ", ".join(map(str, steps))
