"""Pictures as densities, against the pixels that they were made of."""

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from diffuse_cli import catalog
from diffuse_cli.datasets.image import image
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import DiffuseError, UsageError

N = 40_000
CLEAN = Level(np.inf, 1.0, 0.0)
SHADES = np.array([[255, 191, 255, 0], [255, 128, 128, 128], [0, 255, 255, 255]], np.uint8)  # the highest row first
INK = np.array([[0, 4, 0, 16], [0, 8, 8, 8], [16, 0, 0, 0]]) / 60


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def save(pixels, name="p.png", mode=None):
        Image.fromarray(np.asarray(pixels), mode).save(name)
        return name

    return save


def shares(dataset, rows, columns):
    """The shares [rows, columns] of draws in the pixels, the highest row first."""
    x, y = dataset.draw(np.random.default_rng(0), N).T * max(rows, columns) / 2
    row, column = np.floor(rows / 2 - y).astype(int), np.floor(columns / 2 + x).astype(int)
    assert (row.min(), row.max(), column.min(), column.max()) >= (0, 0, 0, 0)
    counts = np.zeros((rows, columns))
    np.add.at(counts, (row, column), 1)
    return counts / N


def test_points_are_where_the_picture_is_dark(saved):
    dataset = image(path=saved(SHADES), noise=0.0)
    assert np.abs(shares(dataset, 3, 4) - INK).max() < 5 * np.sqrt(0.25 / N)
    inside = INK[INK > 0]
    entropy = -np.sum(inside * np.log(inside / 0.25))  # a pixel has area 1/2 · 1/2
    assert dataset.exact().entropy(CLEAN) + 2 * np.log(dataset.standard.scale[0]) == pytest.approx(entropy)


@pytest.mark.parametrize("name", ["p.bmp", "p.gif", "p.tiff", "p.webp", "no_ending_that_says_png"])
def test_formats(saved, name):
    Image.fromarray(SHADES).save(name, format="png" if "." not in name else None, lossless=True)
    assert np.abs(shares(image(path=name, noise=0.0), 3, 4) - INK).max() < 0.02


def test_light_on_dark_transparency_and_many_bits(saved):
    inverted = image(path=saved(255 - SHADES), invert=True, noise=0.0)
    np.testing.assert_array_equal(shares(inverted, 3, 4), shares(image(path=saved(SHADES), noise=0.0), 3, 4))
    layers = np.zeros((3, 4, 4), np.uint8)  # black, and the shades as opacity
    layers[:, :, 3] = 255 - SHADES
    assert np.abs(shares(image(path=saved(layers), noise=0.0), 3, 4) - INK).max() < 0.02
    layers[:, :, :3] = 255
    assert np.abs(shares(image(path=saved(layers), invert=True, noise=0.0), 3, 4) - INK).max() < 0.02
    assert np.abs(shares(image(path=saved(np.uint16(SHADES) * 257), noise=0.0), 3, 4) - INK).max() < 0.02


def test_a_large_picture_is_reduced_and_a_small_one_is_not(saved):
    large = np.repeat(np.repeat(SHADES, 20, axis=0), 20, axis=1)
    assert np.abs(shares(image(path=saved(large), size=4, noise=0.0), 3, 4) - INK).max() < 0.02
    small, again = (image(path=saved(pixels), size=8, noise=0.2) for pixels in (SHADES, SHADES))
    np.testing.assert_array_equal(*(dataset.draw(np.random.default_rng(1), 10) for dataset in (small, again)))
    long = image(path=saved(np.zeros((1, 500), np.uint8)), size=50)
    assert np.ptp(long.draw(np.random.default_rng(0), 1000), axis=0) == pytest.approx([2.0, 0.08], rel=0.2)


def test_it_is_turned_as_the_camera_says(saved):
    turned = Image.Exif()
    turned[274] = 6  # the row at the top of the picture is its right side
    Image.fromarray(np.rot90(SHADES)).save("p.png", exif=turned)
    assert np.abs(shares(image(path="p.png", noise=0.0), 3, 4) - INK).max() < 0.02


def test_what_is_no_picture_is_refused(saved, tmp_path):
    (tmp_path / "words.png").write_text("not a picture")
    (tmp_path / "folder").mkdir()
    whole = (tmp_path / saved(np.random.default_rng(0).integers(255, size=(50, 50), dtype=np.uint8))).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    for path, says in {
        "q.png": "there is no file q.png; did you mean 'p.png'",
        "folder": "folder is a folder",
        "words.png": "words.png is not a picture that can be read",
        "half.png": "cannot read half.png: .*damaged",
    }.items():
        with pytest.raises(DiffuseError, match=says) as error:
            image(path=path)
        assert error.value.exit_code == 1
        assert "\n" not in str(error.value)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(saved, tmp_path):
    """A file of a few bytes whose header promises 60,000 x 60,000 pixels, and one just above the limit."""
    for side in (60_000, 10_001):
        header = side.to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
        with open(tmp_path / "bomb.png", "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            PngImagePlugin.putchunk(file, b"IHDR", header)
            PngImagePlugin.putchunk(file, b"IDAT", b"")
        with pytest.raises(DiffuseError, match="more than 100,000,000 pixels"):
            image(path="bomb.png")


def test_a_blank_picture_is_refused_with_the_way_out(saved):
    with pytest.raises(UsageError, match=r"nothing in p\.png is dark; where the drawing is light, give invert=true"):
        image(path=saved(np.full((5, 5), 250, np.uint8)))
    with pytest.raises(UsageError, match=r"nothing in p\.png is light; where the drawing is dark, leave out invert"):
        image(path=saved(np.zeros((5, 5), np.uint8)), invert=True)


def test_a_bare_name_of_a_picture_is_told_how_it_is_written():
    with pytest.raises(UsageError, match=r"written image:photo\.png"):
        catalog.build("dataset", "photo.png")
