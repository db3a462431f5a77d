"""diffuse verify"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from diffuse_cli.cli import options, signals, terminal
from diffuse_cli.cli.numbers import Counts, Numbers
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.plots.formats import Look

if TYPE_CHECKING:
    from diffuse_cli.analysis.convergence_order import Order, Stretch
    from diffuse_cli.config import Config

EPILOG = """\b
Examples:
  diffuse verify
  diffuse verify --sampler heun --sampler dpmpp_3m --dataset two_spirals
  diffuse verify --sampler mypackage.mymodule:my_sampler --steps 40,80,160
  diffuse verify --out orders.pdf --json"""

POINTS = 32
FEWEST, MOST = 3, 10_000  # step counts, and steps


@click.command(epilog=EPILOG)
@options.option(
    "samplers",
    "--sampler",
    type=options.ChoiceParam("sampler"),
    multiple=True,
    help="A sampler to verify; may be repeated.  [default: all that are not random]",
)
@options.settings("dataset", "schedule", "timesteps", "seed")
@options.option(
    "--steps",
    type=Counts(MOST),
    default="20,40,80,160,320",
    show_default=True,
    help=f"In how many steps; the order is the slope over the last {FEWEST}.",
)
@options.option(
    "--times", type=Numbers(), default="0.9,0.2", show_default=True, help="From which t to which, from 1 down to 1/T."
)
@options.figure_out(where="no figure")
@options.as_json
@options.device
@options.common
@click.pass_context
def verify(
    ctx: click.Context,
    samplers: tuple[str, ...],
    steps: tuple[int, ...],
    times: tuple[float, ...],
    out: Path | None,
    look: Look,
    dpi: int,
    as_json: bool,
    **_settings: Any,
) -> None:
    """Verify that each solver converges as fast as theory says. Needs no run.

    A method of order p ends N^-p as far from where the exact flow does, in N steps. Here the denoiser is the exact one
    of the data, so that all error is the solver's; 32 points go from one noisy level to another, in double precision,
    in steps that are equal in log-SNR, or in (sigma/alpha)^(1/7) for the samplers that the grid karras suits. Errors
    are distances from where an adaptive solver of a tolerance of 1e-12 takes the points, in the root mean square, in
    model space.

    An order passes within 0.15 of theory, from the third on within 0.3. If any fails, so does the command. Finer
    levels (--times 0.9,0.05) are harder: points near the divide between two parts of the data take sides late.

    \b
    Keys of --json:
      dataset, schedule, timesteps, times, log_snr (at these), points, steps,
      reference_error  how far off the adaptive solver may be
      passed           whether all samplers did
      figure           with --out
      samplers, a list of:
        sampler, theory, observed (null if all is rounding, or not finite),
        passed (null if all is rounding), evals, errors (for each of steps)
    """
    from diffuse_cli.analysis import convergence_order

    signals.at_once()
    settings = options.gather_settings(ctx, only=("dataset", "schedule", "timesteps", "seed"))
    _check(steps, times, settings.timesteps)
    chosen = {name: convergence_order.build_deterministic(name) for name in samplers or convergence_order.with_order()}
    terminal.note(f"Solving the exact flow of {settings.dataset}, then {len(chosen)} samplers in {_list(steps)} steps")
    flow = _flow(settings, times)
    found = {name: convergence_order.order(flow, sampler, steps) for name, sampler in chosen.items()}
    document = _document(settings, times, steps, flow, found)
    if out is not None:
        from diffuse_cli.plots import style

        document["figure"] = str(style.save_figure(_draw(settings, times, steps, flow, found, look), out, dpi=dpi))
    if as_json:
        terminal.print_json(document)
    else:
        _print(settings, times, steps, flow, found)
        if out is not None:
            click.echo(document["figure"])
    if failed := [f"{name} {_number(each.observed)}" for name, each in found.items() if each.passed is False]:
        raise DiffuseError(
            f"{len(failed)} of {len(found)} samplers do not show their order: {', '.join(failed)}. "
            "An order sets in only once steps are small: more --steps may show it"
        )


def _check(steps: tuple[int, ...], times: tuple[float, ...], timesteps: int) -> None:
    if len(steps) < FEWEST:
        raise UsageError(f"--steps {_list(steps)}: a slope needs {FEWEST} different numbers of steps or more")
    if len(times) != 2 or not 1 >= times[0] > times[1] >= 1 / timesteps:
        said = ",".join(f"{t:g}" for t in times)
        raise UsageError(f"--times {said}: two times are needed, the noisier first, from 1 to 1/T = {1 / timesteps:g}")


def _flow(settings: "Config", times: tuple[float, float]) -> "Stretch":
    import jax
    import numpy as np

    from diffuse_cli.analysis import convergence_order
    from diffuse_cli.diffusion import exact
    from diffuse_cli.models import build

    dataset = build.build_dataset(settings)
    predict = jax.tree_util.Partial(exact.denoiser(build.law_of(settings, dataset)))
    x0 = dataset.standard.to_model(dataset.draw(np.random.default_rng(settings.seed), POINTS))
    return convergence_order.stretch(predict, build.build_process(settings), x0, times, settings.seed)


def _document(
    settings: "Config", times: tuple[float, float], steps: tuple[int, ...], flow: "Stretch", found: "dict[str, Order]"
) -> dict[str, Any]:
    return {
        "dataset": settings.dataset,
        "schedule": settings.schedule,
        "timesteps": settings.timesteps,
        "times": list(times),
        "log_snr": list(flow.log_snr),
        "points": len(flow.start),
        "steps": list(steps),
        "reference_error": flow.accuracy,
        "passed": all(each.passed is not False for each in found.values()),
        "samplers": [
            {
                "sampler": name,
                "theory": each.theory,
                "observed": each.observed,
                "passed": each.passed,
                "evals": each.evals.tolist(),
                "errors": each.errors.tolist(),
            }
            for name, each in found.items()
        ],
    }


def _draw(
    settings: "Config",
    times: tuple[float, float],
    steps: tuple[int, ...],
    flow: "Stretch",
    found: "dict[str, Order]",
    look: Look,
) -> Any:
    import numpy as np

    from diffuse_cli.plots.convergence import ErrorCurve, convergence_figure

    return convergence_figure(
        np.array(steps),
        {name: ErrorCurve(each.theory, each.errors, each.observed, each.passed) for name, each in found.items()},
        rounding=flow.rounding,
        subject=f"{settings.dataset}, {settings.schedule} schedule, t = {times[0]:g} to {times[1]:g}",
        **look._asdict(),
    )


def _print(
    settings: "Config", times: tuple[float, float], steps: tuple[int, ...], flow: "Stretch", found: "dict[str, Order]"
) -> None:
    first, last = flow.log_snr
    click.echo(
        f"The exact flow of {settings.dataset} from t = {times[0]:g} to {times[1]:g}, "
        f"log-SNR {first:.2f} to {last:.2f}; its end is known to {flow.accuracy:.0e}"
    )
    verdicts = {True: "pass", False: "FAIL", None: "all rounding"}
    rows = [
        (name, str(each.theory), _number(each.observed), f"{each.errors[-1]:.2g}", verdicts[each.passed])
        for name, each in found.items()
    ]
    terminal.print_table(rows, header=("sampler", "theory", "observed", f"error at {steps[-1]} steps", ""))


def _number(observed: float | None) -> str:
    return "-" if observed is None else f"{observed:.2f}"


def _list(steps: tuple[int, ...]) -> str:
    return ", ".join(map(str, steps))
