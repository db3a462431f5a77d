"""From a model to the arrays of a figure, and the figure. What is drawn is decided here, how it looks in `plots`.

A figure may change freely; its arrays come from `models` and `analysis`.
"""
