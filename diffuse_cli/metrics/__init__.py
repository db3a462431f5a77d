"""Distances between samples and data, their noise floors, and memorisation. Arrays in, numbers out.

A metric may be added without asking elsewhere; scripts read the names of those there are.
"""
