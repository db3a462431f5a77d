"""One small file for each command: its options, the call that does the work, what is printed.

A command computes nothing of its own; what it prints as --json is read by scripts.
"""
