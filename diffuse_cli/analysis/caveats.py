"""What a reader has to know before results are believed, in sentences. The terminal and the report say the same."""

MEMORISED = (
    "The exact denoiser of a fixed set of rows has memorised them: its law is the mixture on the training points, "
    "which a network should not learn."
)


def of_file(held_out: int, compared: int) -> str:
    """That a user's file has no known law, with the numbers of rows that are held out and of points that are compared.

    >>> of_file(80, 80)
    'The law of these rows is not known: 80 rows that were held out stand for it, and distances compare 80 points'
    """
    return (
        f"The law of these rows is not known: {held_out:,} rows that were held out stand for it, "
        f"and distances compare {compared:,} points"
    )


def overfitting(lowest: float) -> str:
    """That the last weights of a training overfit, with the lowest held-out loss on the way.

    >>> overfitting(0.94)
    'the held-out loss was lower on the way (0.9400): the last weights are overfitting'
    """
    return f"the held-out loss was lower on the way ({lowest:.4f}): the last weights are overfitting"
