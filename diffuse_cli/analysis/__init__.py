"""What can be asked about a model or a schedule: quality, orders of convergence, comparisons, one point, the doctor.

Results are NamedTuples of arrays and numbers; the command line and the page print them and compute nothing.
"""
