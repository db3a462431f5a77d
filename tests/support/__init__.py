"""How the tests are run: compiled cheaply, chosen by marker, counted, held to a budget, ended at once."""
