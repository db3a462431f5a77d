"""Samplers by family, the grids of noise levels they go through, and the one scan that runs them all.

A sampler may be added or changed without asking elsewhere; `base` is what users write their own samplers against.
"""
