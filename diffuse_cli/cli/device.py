"""Starting jax: on which device, and with compiled code kept between processes."""

import os
import socket
from pathlib import Path

from diffuse_cli.errors import DiffuseError, UsageError

_EXTRA = {"gpu": 'pip install "diffuse-cli[cuda12]" or [cuda13]', "tpu": 'pip install "diffuse-cli[tpu]"'}


def start_jax(device: str = "auto") -> None:
    """Start jax on `device`: auto, cpu, gpu or tpu. Raises DiffuseError where there is no such device."""
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    _keep_compiled_code(jax)
    if device in _EXTRA:
        try:
            jax.config.update("jax_default_device", jax.devices(device)[0])
        except RuntimeError as error:
            raise DiffuseError(f"jax sees no {device} here; for one, {_EXTRA[device]}") from error
    else:
        try:
            jax.devices()
        except RuntimeError as error:  # JAX_PLATFORMS names something that is not there
            raise UsageError(f"jax cannot start: {str(error).splitlines()[0]}") from error


def describe() -> str:
    """Versions and device, one a line."""
    from diffuse_cli.models.checkpoint import versions

    start_jax()
    import jax

    found = jax.devices()
    lines = [f"{name} {version}" for name, version in versions().items()]
    return "\n".join([*lines, f"device {found[0].platform} ({len(found)} x {found[0].device_kind})"])


def _keep_compiled_code(jax) -> None:
    """Let jax keep what it compiles, which takes longer than training does.

    Its entries are code that will be run, so the folder is the user's own and private; where that cannot be had,
    nothing is kept. It is keyed by what the code was compiled for.
    """
    import jaxlib

    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "diffuse" / f"jaxlib-{jaxlib.__version__}-{socket.gethostname()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o077
    except (OSError, RuntimeError):
        return
    if private and jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
