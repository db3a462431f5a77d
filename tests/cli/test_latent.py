"""train --latent and --family: what is trained, drawn, judged and refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.models import checkpoint, run_folder
from diffuse_cli.models.latent import LatentSpace
from diffuse_cli.models.model import model_of_run
from tests.cli.conftest import BARE, SMALL, call, standing_in

CURVES = "curves:dim=8,noise=0.3"
NAMES = ("latent", "latent-autoencoder", "gan", "gmm", "plain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small runs: latent diffusion and its autoencoder, a GAN, a mixture, and plain diffusion, of the same curves."""
    folder = tmp_path_factory.mktemp("families")
    settings = ["--set", "train_size=500", "--dataset", CURVES]
    with standing_in(folder):
        small = ["--family", "vae:latent=2,noise=0.4", "--name", "latent-autoencoder"]
        assert call("train", *BARE[:8], "--dataset", CURVES, "--train-size", "500", *small, "--no-figures").code == 0
        found = call("train", *SMALL, "--dataset", CURVES, "--latent", "2", "--autoencoder", "run:latent-autoencoder",
                     "--name", "latent", "--json")  # fmt: skip
        assert found.code == 0, found.err
        assert {Path(path).name for path in found.json["figures"]} == {
            "loss.png",
            "forward.png",
            "reverse.png",
            "samples.png",
        }
        assert call("train", *BARE[:8], *settings, "--family", "gan", "--name", "gan", "--no-figures").code == 0
        assert call("train", *settings, "--family", "gmm:components=2", "--name", "gmm", "--no-figures").code == 0
        assert call("train", *BARE, "--dataset", CURVES, "--name", "plain").code == 0
    return folder


@pytest.fixture(autouse=True)
def _here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_samples_are_decoded():
    for name in ("latent", "gan", "gmm", "latent-autoencoder"):
        assert call("sample", "--run", name, "-n", "6", "--out", "drawn.csv").code == 0
        header, *rows = Path("drawn.csv").read_text().splitlines()
        assert (header.count(","), len(rows)) == (7, 6), name


def test_a_latent_run_needs_only_its_own_checkpoint(tmp_path):
    lone = tmp_path / "lone.safetensors"
    lone.write_bytes(Path("outputs/latent/checkpoint.safetensors").read_bytes())
    for run, out in (("latent", "a.npy"), (lone, "b.npy")):
        assert call("sample", "--run", run, "-n", "5", "--out", tmp_path / out).code == 0
    assert (np.load(tmp_path / "a.npy") == np.load(tmp_path / "b.npy")).all()


def test_samples_have_the_noise_of_the_decoder():
    """What a latent run draws is decoder(z) with noise, of the latents that it draws."""
    run = run_folder.open_run(Path("outputs/latent"))
    plane = model_of_run(run)
    space = LatentSpace(plane.autoencoder, plane.standard)
    assert (space.dim, space.data_dim, space.log_volume) == (2, 8, None)
    x = plane.autoencoder.standard.to_data(np.zeros((4, 8)))
    z = space.to_model(x)
    assert z.shape == (4, 2)
    assert space.to_data(z) == pytest.approx(plane.autoencoder.decode(plane.standard.to_data(z)))
    rng = np.random.default_rng(0)
    many = np.zeros((20_000, 2))
    spread = (space.draw(rng, many) - space.to_data(many)).std(axis=0)
    assert spread == pytest.approx(0.4 * plane.autoencoder.standard.scale, rel=0.05)


def test_evaluate_has_the_whole_table():
    beside = ["--beside", "plain", "--beside", "gmm"]
    found = call(
        "evaluate", "--run", "latent", *beside, *["-n", "150", "--metric", "energy", "--repeats", "3", "--json"]
    )
    assert found.code == 0, found.err
    document = found.json
    latent = document["latent"]
    assert latent["elbo_bound"]["value"] > latent["vae_nll"]["value"] > document["nll"]["entropy"]
    gained = latent["vae_nll"]["value"] - document["nll"]["value"]
    assert gained == pytest.approx(latent["gained"]["value"], abs=1e-6)
    assert set(document["beside"]) == {"plain", "gmm"}
    assert document["beside"]["gmm"]["gap"] > 0
    assert latent["active_if_linear"] in (0, 1, 2)


def test_the_likelihood_of_a_vae_is_the_same_in_both_commands():
    of_vae = call("likelihood", "--run", "latent-autoencoder", "-n", "100", "--json").json
    judged = ["-n", "100", "--metric", "energy", "--repeats", "3", "--json"]
    in_table = call("evaluate", "--run", "latent-autoencoder", *judged)
    assert of_vae["value"] == pytest.approx(in_table.json["nll"]["value"], abs=1e-6)
    assert in_table.json["latent"]["filled"] is None


def test_the_plane_is_drawn():
    for run in ("latent", "latent-autoencoder"):
        assert call("plot-latent", "--run", run, "-n", "50", "--out", f"{run}.png").code == 0
        assert Path(f"{run}.png").stat().st_size > 10_000
    assert call("plot-latent", "--run", "latent", "--dark", "--width", "9").out.strip().endswith("latent-dark.png")


def test_figures_of_the_plane_show_latents():
    assert call("plot-density", "--run", "latent", "--out", "density.png").code == 0
    assert call("plot-reverse", "--run", "latent", "--frames", "3", "-n", "50", "--out", "reverse.png").code == 0


def test_a_latent_run_is_continued():
    before = run_folder.open_run(Path("outputs/latent"))
    assert call("train", "--resume", "latent", "--steps", "70", "--no-figures").code == 0
    after = run_folder.open_run(Path("outputs/latent"))
    assert (before.step, after.step) == (60, 70)
    for one, other in zip(before.autoencoder.standard, after.autoencoder.standard, strict=True):
        assert (one == other).all()


def test_a_damaged_autoencoder_is_found(tmp_path):
    tensors, header = checkpoint.load_checkpoint(Path("outputs/latent/checkpoint.safetensors"))
    tensors["data.scale"] = tensors["data.scale"] * 0
    checkpoint.save_checkpoint(tmp_path / "damaged.safetensors", tensors, header)
    found = call("sample", "--run", tmp_path / "damaged.safetensors")
    assert (found.code, "no extent" in found.err) == (1, True)


MISTAKES = [
    ("train --dataset moons --latent 2", "no smaller than the data, which have 2; give --latent 1"),
    ("train --dataset bimodal --latent 1", "leave out --latent"),
    (f"train --dataset {CURVES} --autoencoder vae", "give --latent too"),
    (f"train --dataset {CURVES} --latent 2 --family gan", "leave out one"),
    (f"train --dataset {CURVES} --latent 2 --autoencoder run:gan", "has no autoencoder"),
    ("train --dataset curves:dim=9 --latent 2 --autoencoder run:latent-autoencoder", "was trained on"),
    (f"train --dataset {CURVES} --latent 3 --autoencoder run:latent-autoencoder", "has 2 latents"),
    (f"train --dataset {CURVES} --latent 2 --autoencoder vea", "did you mean 'vae'"),
    (f"train --dataset {CURVES} --latent 2 --autoencoder vae:bta=1", "did you mean 'beta'"),
    ("train --dataset bimodal --family realnvp", "these data have one only"),
    ("train --dataset moons --family gan --loss kl", "is of diffusion; leave it out"),
    ("train --dataset moons --family kde --steps 5", "fitted at once"),
    ("train --dataset moons --family gann", "did you mean 'gan'"),
    ("sample --run gan --steps 20", "draws without noise levels; leave out --steps"),
    ("sample --run gan --trajectory --out x.npz", "has no denoiser"),
    ("sample --run latent --trajectory --out x.npz", "the way of latent is in its latent space"),
    ("likelihood --run gan", "has no likelihood: a GAN draws samples"),
    ("plot-field --run gmm", "of data with one or two columns"),
    ("plot-trajectories --run gmm", "has no denoiser"),
    ("animate --run gmm", "has no denoiser"),
    ("explain --run gan", "has no denoiser"),
    ("solve --run gan --observe x0=0.5", "has no denoiser"),
    ("distill --run gan", "no denoiser"),
    ("sample --exact --run latent", "no exact denoiser in a latent space"),
    ("distill --run latent", "latent space"),
    ("sample --run latent --guidance 2", "trained without labels"),
    ("plot-reverse --run gan", "has no denoiser"),
    ("plot-latent --run plain", "has no latent space"),
    ("compare --run gan", "has no denoiser"),
    ("evaluate --run latent --beside moons", "no run named 'moons'"),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES)
def test_mistakes(line, words):
    found = call(*line.split())
    assert found.code in (1, 2), found.out
    assert words in " ".join(found.err.split()), found.err
    assert "should not happen" not in found.err


def test_latents_without_spread_are_refused():
    """β so large that all latents collapse."""
    collapsed = ["--family", "vae:latent=2,beta=1000,noise=2,warmup=0", "--set", "lr=0.02", "--name", "flat"]
    settings = ["--steps", "400", "--batch-size", "64", "--width", "8", "--depth", "1", "--train-size", "500"]
    assert call("train", *settings, "--dataset", CURVES, *collapsed, "--no-figures").code == 0
    found = call("train", *BARE, "--dataset", CURVES, "--latent", "2", "--autoencoder", "run:flat", "--name", "none")
    assert found.code == 2
    assert "without spread" in found.err
    assert not Path("outputs/none").exists()


def test_the_dry_run_trains_nothing():
    found = call("train", "--dataset", CURVES, "--latent", "2", "--autoencoder", "vae:beta=0.5", "--dry-run")
    assert found.code == 0, found.err
    assert 'autoencoder = "vae:beta=0.5"' in found.out
    assert {path.name for path in Path("outputs").iterdir()} >= set(NAMES)


def test_a_family_keeps_what_its_fit_has_chosen():
    settings = json.loads(json.dumps(run_folder.open_run(Path("outputs/gmm")).config.family))
    assert settings == "gmm:components=2"
