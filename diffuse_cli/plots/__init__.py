"""Figures: numpy arrays in, a matplotlib `Figure` out. pyplot is never used, and no global state is left changed.

The looks of a figure may change freely. Look at the result, light and dark: no text may be cut or overlap.
"""
