"""Figures: numpy arrays in, a matplotlib `Figure` out. pyplot is never used, and no global state is left changed.

How a figure looks may change freely; it must be looked at, light and dark, and no text may be cut or overlap.
"""
