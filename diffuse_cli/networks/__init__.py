"""The networks, as Flax NNX modules, and how one becomes a denoiser.

A layer may change freely; parameter names and shapes may not, because checkpoints hold them.
"""
