"""Guidance: how two denoisers become one that is drawn to a label, and what it costs in truth.

A guidance may be added without changes elsewhere: a factory here and a line in the catalogue. It makes a `Predict` of
two others, so samplers, figures and likelihoods take it as they take any denoiser. The scale w has one meaning in all
of them: u + w (c − u), w = 1 is the conditional denoiser and w = 0 the unconditional one.
"""
