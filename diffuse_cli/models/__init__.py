"""From settings to a model that can be sampled from and judged: building, run folders, checkpoints, drawing.

The format of a checkpoint is read by later versions too; the rest is used by everything below in the list of rooms.
"""
