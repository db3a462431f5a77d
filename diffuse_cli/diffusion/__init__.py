"""The mathematics: processes, schedules, what networks regress on, losses, the bound, exact laws, likelihood.

Formulas may be rewritten as long as tests/diffusion passes; names that the catalogue names may not move without it.
"""
