"""`diffuse verify --losses`: what is said of losses of flow maps that were checked at known maps."""

from typing import TYPE_CHECKING

import click

from diffuse_cli.cli import options, terminal
from diffuse_cli.errors import DiffuseError, UsageError

if TYPE_CHECKING:
    from diffuse_cli.analysis.loss_check import Finding
    from diffuse_cli.analysis.schedule_check import Estimate

_VERDICTS = {True: "pass", False: "FAIL"}


def check_options(losses: tuple[str, ...], *, asked: bool, of_orders: dict[str, bool]) -> None:
    """Raises UsageError for options that do not go together.

    asked: whether --losses stands on the command line. of_orders: which flags that only orders need stand there too.
    """
    if losses and not asked:
        raise UsageError(f"--loss {losses[0]} names a loss to verify; add --losses")
    if asked and (flags := [flag for flag, typed in of_orders.items() if typed]):
        raise UsageError(f"{flags[0]} is for samplers, and --losses verifies losses; leave out one of them")


def verify_losses(names: tuple[str, ...], settings: options.Settings, *, as_json: bool) -> None:
    """Check the losses of these names, or all, and print what was found. Raises DiffuseError where one fails."""
    from diffuse_cli.analysis import exact_maps, loss_check

    config = settings.config()
    with_data = settings.given("dataset") is not None or settings.file is not None
    claims = {name: loss_check.claims_of(name) for name in names or loss_check.map_losses()}
    truths = [exact_maps.gaussian(), exact_maps.mixture()]
    if with_data:
        truths.append(exact_maps.of_dataset(config))
    findings = []
    for truth in truths:
        terminal.note(f"Checking {len(claims)} losses on {truth.name}")
        for claim in (claim for each in claims.values() for claim in each):
            if (finding := loss_check.check(claim, truth, config)) is not None:
                findings.append(finding)
    unchecked = [name for name, each in claims.items() if not each]
    if as_json:
        terminal.print_json(_document(config.dataset if with_data else None, config.seed, findings, unchecked))
    else:
        _print(findings, unchecked)
    if failed := [f"{each.claim} on {each.data}" for each in findings if not each.passed]:
        raise DiffuseError(f"{len(failed)} of {len(findings)} checks of losses fail: {'; '.join(failed)}")


def _document(dataset: str | None, seed: int, findings: "list[Finding]", unchecked: list[str]) -> dict[str, object]:
    return {
        "dataset": dataset,
        "seed": seed,
        "passed": all(each.passed for each in findings),
        "not_checked": unchecked,
        "losses": [
            {
                "loss": each.claim,
                "data": each.data,
                "residual": each.residual,
                "allowed": each.allowed,
                "gradient": [part.value for part in each.gradients],
                "gradient_stderr": [part.stderr for part in each.gradients],
                "pull": [part.value for part in each.pulls],
                "pull_stderr": [part.stderr for part in each.pulls],
                "passed": each.passed,
            }
            for each in findings
        ],
    }


def _print(findings: "list[Finding]", unchecked: list[str]) -> None:
    rows = [
        (
            each.claim,
            each.data,
            f"{each.residual:.0e}",
            _with_error(each.worst_gradient),
            f"{each.weakest_pull.value:.2f} to {each.strongest_pull.value:.2f}",
            _VERDICTS[each.passed],
        )
        for each in findings
    ]
    if rows:
        terminal.print_table(rows, header=("loss", "data", "residual", "gradient", "pull", ""))
        click.echo("residual, gradient: at the exact map; pull: back to it, 1 if as strong as that of the true loss")
    for name in unchecked:
        click.echo(f"{name}: not a flow map, so there is none to compare it with; not checked")


def _with_error(estimate: "Estimate") -> str:
    """A slope and its standard error."""
    return f"{estimate.value:.3f} ± {estimate.stderr:.3f}"
