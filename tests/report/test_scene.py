"""Journeys as the page has them: the same points, within what 16 bits can say."""

import base64
import itertools
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.config import Config
from diffuse_cli.diffusion.process import angle_of
from diffuse_cli.figures.paths import Trajectory
from diffuse_cli.models import build
from diffuse_cli.models.draw import Method
from diffuse_cli.models.exact_model import exact_model
from diffuse_cli.report import layers, packing, scene

METHODS = [Method("ddim", "uniform", 6), Method("ddpm", "uniform", 70)]


def exact(dataset, **settings):
    config = Config(dataset=dataset, **settings)
    data = build.build_dataset(config)
    return exact_model(config, data, Path("outputs"), process=build.build_process(config)), data


def unpacked(text, bounds, *shape):
    low, high = bounds
    codes = np.frombuffer(base64.b64decode(text), "<u2").astype(float)
    return (low + (high - low) * codes / 65535).reshape(shape)


@pytest.fixture(scope="module")
def moons():
    model, data = exact("moons")
    ways = scene.travel(model, data, METHODS, 50, 3)
    projection = scene.projection_of(model, ways)
    return model, ways, projection, scene.scene_document(model, METHODS, ways, projection)


def test_packing_keeps_16_bits():
    values = np.linspace(-2, 3, 1001)
    np.testing.assert_allclose(
        unpacked(packing.packed(values, -2, 3), (-2, 3), -1), values, atol=0.5 * 5 / 65535 + 1e-12
    )
    np.testing.assert_array_equal(unpacked(packing.packed(np.array([-9.0, 9.0]), -2, 3), (-2, 3), -1), [-2, 3])
    assert [len(packing.packed(np.zeros(n), 0, 1)) for n in range(9)] == [packing.packed_size(n) for n in range(9)]


def test_frames_are_the_journeys(moons):
    _, ways, projection, document = moons
    step = (document["bounds"][1] - document["bounds"][0]) / 65535
    for panel, way in zip(document["panels"][1:], ways.samplers, strict=True):
        frames = scene.thinned(way)
        found = unpacked(panel["x"], document["bounds"], len(panel["t"]), 50, 2)
        np.testing.assert_allclose(found, np.clip(frames.x, *projection.bounds), atol=0.51 * step)
        np.testing.assert_allclose(panel["t"], frames.t, atol=1e-6)
        assert (panel["t"][0], panel["t"][-1]) == (0, 1)


def test_the_forward_panel_is_the_forward_journey_and_ends_where_all_others_start(moons):
    _, ways, _, document = moons
    x0, eps = (unpacked(document["panels"][0][name], document["bounds"], 50, 2) for name in ("x0", "eps"))
    for x, log_snr in zip(ways.data.x, ways.data.log_snr, strict=True):
        angle = angle_of(np.array([log_snr]))
        np.testing.assert_allclose(np.cos(angle) * x0 + np.sin(angle) * eps, x, atol=1e-3)
    for way in ways.samplers:
        np.testing.assert_allclose(way.x[-1], eps, atol=1e-3)


@pytest.mark.parametrize(("steps", "frames"), [(6, 7), (70, scene.SAMPLER_FRAMES)])
def test_long_ways_are_thinned_and_keep_their_ends(steps, frames):
    t = np.linspace(0, 1, steps + 1)
    found = scene.thinned(Trajectory(t[:, None, None], -t, t))
    assert len(found.t) == frames
    assert (found.t[0], found.t[-1]) == (0, 1)
    assert (np.diff(found.t) > 0).all()


def test_of_frames_at_one_time_the_last_travelled_is_shown():
    t = np.array([0.0, 0.5, 0.5, 0.5, 1.0])  # clean end first, so the first of them is the last travelled
    found = scene.thinned(Trajectory(np.arange(5.0)[:, None, None], -t, t))
    np.testing.assert_array_equal(found.x.reshape(-1), [0, 1, 4])


@pytest.mark.parametrize("dataset", ["moons", "bimodal", "s_curve:dim=3", "curves"])
def test_as_many_points_as_fit(dataset):
    model, _ = exact(dataset)
    columns = {"moons": 2, "bimodal": 1, "s_curve:dim=3": 3, "curves": 64}[dataset]
    for samplers, steps in itertools.product((1, 2, 6), (1, 4, 1000)):
        methods = [Method("ddim", "uniform", steps)] * samplers
        count = scene.most(model, methods)
        case = f"{samplers} samplers, {steps} steps: {count} points"
        assert count >= (40 if dataset == "curves" else 700), case
        frames = 2 + samplers * min(steps + 1, scene.SAMPLER_FRAMES)  # data and noise beside the ways of samplers
        shades = (2 + samplers) * packing.packed_size(count) / 2
        letters = packing.packed_size(count * columns * frames) + shades
        assert letters <= 1_700_000, case
        assert dataset == "curves" or letters > 1_350_000, case  # and no fewer than do


@pytest.mark.parametrize("settings", [{"schedule": "linear"}, {"schedule": "cosine", "zero_terminal_snr": True}])
def test_the_schedule_is_read_as_an_angle(settings):
    model, _ = exact("moons", **settings)
    angle = np.array(scene.schedule_curve(model.process)["angle"])
    assert angle[0] == 0
    assert angle[-1] < np.pi / 2
    assert (np.diff(angle) > 0).all()
    t = np.linspace(0.1, 0.9, 9)
    known = np.asarray(model.process.levels_at(t).log_snr)
    read = -2 * np.log(np.tan(np.interp(t, np.linspace(0, 1, len(angle)), angle)))
    np.testing.assert_allclose(read, known, atol=0.01)


def test_colours_are_shades_of_equal_use(moons):
    document = moons[3]
    for text in (document["by_start"], *(panel["by_end"] for panel in document["panels"])):
        shades = np.frombuffer(base64.b64decode(text), np.uint8)
        assert len(shades) == 50
        assert set(np.bincount(shades, minlength=scene.PAGE_SHADES)) <= {1, 2}


def test_the_density_of_a_plane_is_that_of_the_law(moons):
    model, _, projection, _ = moons
    data = model.dataset()
    found = layers.density_layer(model, data, projection)
    values = np.frombuffer(base64.b64decode(found["values"]), np.uint8).reshape(layers.LEVELS, 80, 80)
    assert not found["smoothed"]
    # At the noisy end it is N(0, I), symmetric about the cell at the origin; its rows run along x.
    x, y = (np.linspace(*limits, 161)[1::2] for limits in projection.limits)
    normal = np.exp(-0.25 * (x[None, :] ** 2 + y[:, None] ** 2))
    np.testing.assert_allclose(values[-1] / 255, normal / normal.max(), atol=0.01)


def test_the_field_points_where_the_law_says():
    model, data = exact("moons")
    projection = scene.Projection("plane", np.eye(2), np.array([[-3.0, 3.0], [-3.0, 3.0]]))
    found = layers.field_layer(model, data, projection)
    assert set(found["values"]) == {"model"}  # which is exact by itself
    arrows = np.frombuffer(base64.b64decode(found["values"]["model"]), "<i2").reshape(layers.LEVELS, 19, 19, 2) / 32767
    # At the noisy end v = alpha eps - sigma x0, where x0 is the mean of the data, 0, and so is alpha.
    assert np.abs(arrows[-1]).max() < 0.01
    # At the clean end, far from the data, it points away from them.
    assert (arrows[0][-1, -1] > 0).all()
    assert (arrows[0][0, 0] < 0).all()
    assert np.linalg.norm(arrows, axis=-1).max() < 1


def test_a_file_has_a_smoothed_density_and_no_true_field(tmp_path):
    np.savetxt(tmp_path / "p.csv", np.random.default_rng(0).normal(size=(60, 2)), delimiter=",")
    model, data = exact(f"file:{tmp_path / 'p.csv'}")
    projection = scene.Projection("plane", np.eye(2), np.array([[-3.0, 3.0], [-3.0, 3.0]]))
    assert layers.density_layer(model, data, projection)["smoothed"]
    assert set(layers.field_layer(model, data, projection)["values"]) == {"model"}
