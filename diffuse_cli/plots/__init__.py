"""Figures: numpy arrays in, a matplotlib `Figure` out. pyplot is never used, and no global state is left changed."""
