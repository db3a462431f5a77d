"""Inverse problems: draws of x given a measurement y = f(x) + noise, by a denoiser of p(x) and by the exact posterior.

A method may be added without changes elsewhere: a factory here and a line in the catalogue. It gets a denoiser and a
measurement in model space (`observed.Observed`), and gives a denoiser and steps that any loop of samplers runs.
"""
