"""Families of generative models beside diffusion: one file for each, which `base.Family` describes to the rest.

Training, run folders and commands know a Family only, so any of these files may be changed without asking elsewhere.
"""
