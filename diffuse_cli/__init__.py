"""A command-line laboratory for diffusion models on data you can see."""

__version__ = "0.1.0"
