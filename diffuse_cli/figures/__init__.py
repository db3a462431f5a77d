"""From a model to the arrays of a figure, and the figure. The content of a figure is decided here, its look in `plots`.

A figure may change freely; its arrays come from `models` and `analysis`.
"""
