"""Reading a user's points: CSV and other text, .npy, .npz.

Everything here may change as long as what was read before is still read as it was.
"""
