"""Reading a user's points: CSV and other text, .npy, .npz.

Everything here may change as long as every file that could be read before still gives the same points.
"""
