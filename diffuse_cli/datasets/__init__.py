"""Built-in datasets, each with its exact law and its standardisation, and datasets from a user's files.

A dataset may be added without changes elsewhere. A changed law or scale makes existing runs disagree with their data.
"""
