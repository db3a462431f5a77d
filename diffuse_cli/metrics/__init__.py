"""Distances between samples and data, their noise floors, and memorisation. Arrays in, numbers out.

A metric may be added without changes elsewhere. The names of existing metrics are read by users' scripts.
"""
