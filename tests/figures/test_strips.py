"""Which levels a strip shows."""

import numpy as np

from diffuse_cli import config
from diffuse_cli.diffusion.process import angle_of
from diffuse_cli.figures.strips import levels_to_show
from diffuse_cli.models import build

PROCESS = build.build_process(config.make({}))


def test_points_move_equally_far_from_frame_to_frame():
    log_snr = PROCESS.levels_at(np.linspace(1, 0, 501)).log_snr
    for frames in (2, 3, 6, 10, 12):
        picked = levels_to_show(log_snr, frames)
        assert (picked[0], picked[-1], len(picked)) == (0, 500, frames)
        np.testing.assert_allclose(np.diff(angle_of(log_snr)[picked]), -np.pi / 2 / (frames - 1), atol=0.005)
        np.testing.assert_array_equal(levels_to_show(log_snr[::-1], frames), 500 - picked[::-1], err_msg=str(frames))


def test_as_many_frames_as_asked_for_or_all_however_levels_lie():
    crowded = np.concatenate([np.linspace(30, 20, 9), [0.0], np.linspace(-20, -30, 4), [-30.0]])
    for frames in range(2, 20):
        picked = levels_to_show(crowded, frames)
        assert len(picked) == min(frames, 15)
        assert (picked[0], picked[-1]) == (0, 14)
        assert (np.diff(picked) > 0).all()
        assert frames == 2 or 9 in picked
