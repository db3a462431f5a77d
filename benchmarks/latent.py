"""Latent diffusion in numbers: `python benchmarks/latent.py [collapse] [table] [digits]`, all of them by default.

collapse: linear VAEs of `curves` in ten settings of β and the noise; how many latents are active, and what PCA says.
table: entropy, −ELBO, the NLL of the VAE, of latent diffusion and of plain diffusion on sets of curves and on the roll,
and by how much the diffusion lowers the NLL beside what it fills of the hole in the prior.
digits: conditional latent diffusion of digits: seconds, C2ST against held-out digits, and how many samples a classifier
takes for the digit that they were told.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `python benchmarks/latent.py`

from click.testing import CliRunner

GIVEN, LEARNED = (0.5, 1.0, 2.0, 4.0, 8.0), (0.5, 1.0, 4.0, 16.0, 64.0)  # β
SETTINGS = [*((beta, "0.3", 16) for beta in GIVEN), *((beta, "learned", 8) for beta in LEARNED)]
SETS = ("curves", "curves:kind=two_shapes", "swiss_roll:dim=3", "s_curve:dim=3")
SAMPLES, SEEDS = 2000, (0, 1, 2)


def main() -> None:
    """Measure what is asked for, and print a table of each."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("parts", nargs="*", default=["collapse", "table", "digits"])
    options.add_argument("--sets", nargs="*", default=SETS)
    given = options.parse_args()
    began = time.perf_counter()
    sum(range(10**7))
    print(f"ten million additions: {time.perf_counter() - began:.2f} s\n")
    with tempfile.TemporaryDirectory() as folder:
        for part in given.parts:
            {"collapse": collapse, "table": lambda outputs: table(outputs, given.sets), "digits": digits}[part](folder)
            print()


def diffuse(outputs: str, *words: str) -> Any:
    """The JSON that a command prints. Raises RuntimeError, with its message, where it fails."""
    from diffuse_cli.cli import cli

    found = CliRunner().invoke(cli, [*words, "--outputs", outputs, "--json", "--quiet"])
    if found.exit_code:
        raise RuntimeError(f"{' '.join(words)}: {found.stderr or found.exception}")
    return json.loads(found.stdout)


def collapse(outputs: str) -> None:
    """Active latents of linear VAEs beside what the eigenvalues of the data say."""
    from diffuse_cli import catalog
    from diffuse_cli.analysis.latent_quality import linear_prediction
    from diffuse_cli.models import latent, run_folder
    from diffuse_cli.models.autoencoder import autoencoder_of_run

    dataset, right = catalog.build("dataset", "curves"), 0
    print("| β | noise | latents | active | PCA says | noise learned | PCA says |\n|---|---|---|---|---|---|---|")
    for number, (beta, noise, latents) in enumerate(SETTINGS):
        family = f"vae:latent={latents},decoder=linear,beta={beta},noise={noise}"
        settings = ["--family", family, "--steps", "12000", "--name", f"linear{number}", "--no-figures"]
        diffuse(outputs, "train", "--dataset", "curves", *settings)
        autoencoder = autoencoder_of_run(run_folder.open_run(Path(outputs, f"linear{number}")))
        active = int(latent.active_latents(autoencoder, dataset).sum())
        predicted = linear_prediction(autoencoder, dataset)
        right += active == predicted.active
        found = float(autoencoder.noise[0])
        print(
            f"| {beta:g} | {noise} | {active} | {predicted.active} | {found:.4f} | {predicted.noise:.4f} |", flush=True
        )
    print(f"\nactive latents as predicted: {right} of {len(SETTINGS)}")


def table(outputs: str, sets: tuple[str, ...]) -> None:
    """The table of likelihoods in nats: entropy, −ELBO, VAE, latent diffusion, plain diffusion."""
    print("| set | entropy | −ELBO | NLL of the VAE | latent diffusion | plain diffusion | gained | filled |")
    print("|---|---|---|---|---|---|---|---|")
    for number, name in enumerate(sets):
        diffuse(outputs, "train", "--dataset", name, "--latent", "2", "--name", f"latent{number}", "--no-figures")
        diffuse(outputs, "train", "--dataset", name, "--name", f"plain{number}", "--no-figures")
        words = ["--beside", f"plain{number}", "--metric", "energy", "-n", str(SAMPLES)]
        found = diffuse(outputs, "evaluate", "--run", f"latent{number}", *words)
        nll, latent, plain = found["nll"], found["latent"], found["beside"][f"plain{number}"]
        values = [
            nll["entropy"],
            latent["elbo_bound"]["value"],
            latent["vae_nll"]["value"],
            nll["value"],
            plain["value"],
        ]
        cells = [f"{value:.2f}" if value is not None else "unknown" for value in values]
        gains = [f"{latent[key]['value']:.3f} ± {latent[key]['stderr']:.3f}" for key in ("gained", "filled")]
        print(f"| {name} | {' | '.join([*cells, *gains])} |", flush=True)


def digits(outputs: str) -> None:
    """Conditional latent diffusion of digits."""
    from sklearn.svm import SVC

    from diffuse_cli.models import draw, latent, run_folder
    from diffuse_cli.models.data import draw_data
    from diffuse_cli.models.model import model_of_run

    print("| seed | seconds | C2ST, 179 held-out digits | its floor | told and recognised | classifier, held out |")
    print("|---|---|---|---|---|---|")
    for seed in SEEDS:
        name, began = f"digits{seed}", time.perf_counter()
        settings = ["--latent", "12", "--width", "128", "--conditional", "--seed", str(seed), "--no-figures"]
        diffuse(outputs, "train", "--dataset", "digits", *settings, "--name", name)
        seconds = time.perf_counter() - began
        judged = diffuse(outputs, "evaluate", "--run", name, "--metric", "c2st", "-n", str(SAMPLES))["metrics"]["c2st"]
        run = run_folder.open_run(Path(outputs, name))
        of = latent.data_of_latents(model_of_run(run))
        data = draw_data(run.config, of)
        classifier = SVC(C=10, gamma=0.01).fit(data.train, data.train_labels)
        model = latent.decoded(model_of_run(run).with_all_labels())
        drawn = draw.draw_samples(model, draw.default_method(run.config), SAMPLES, 0)
        told = np.asarray(drawn.labels)
        right = (classifier.predict(of.standard.to_model(drawn.samples)).astype(str) == told).mean()
        of_classifier = classifier.score(data.held_out, data.held_out_labels)
        floor = f"{judged['floor']:.3f} ± {judged['floor_std']:.3f}"
        cells = f"{judged['value']:.3f} | {floor} | {right:.1%} | {of_classifier:.1%}"
        print(f"| {seed} | {seconds:.0f} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
