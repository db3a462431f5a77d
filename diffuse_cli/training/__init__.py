"""The training loop, its optimiser, and a run from its folder to its last checkpoint.

The loop may change freely as long as a resumed run ends in the same bytes as an unbroken one.
"""
