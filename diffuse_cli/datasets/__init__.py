"""Built-in datasets, each with its exact law, their scale, and files of a user.

A set may be added without asking elsewhere; a changed law or scale makes runs that exist disagree with their data.
"""
