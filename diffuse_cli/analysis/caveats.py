"""What a reader has to know before results are believed, in sentences. The terminal and the report say the same."""

FEW = 1000  # points: too few to tell a good model from a perfect one
_WORSE = 1.05  # ratio of the last held-out loss to the lowest from which on a model is said to overfit

MEMORISED = (
    "The exact denoiser of a file has memorised it: its law is the mixture on the training points, which a network "
    "should not learn."
)


def few_points(compared: int) -> str | None:
    """That distances between so few points tell little; None where they are enough.

    >>> few_points(80)
    'Only 80 points can be compared, and most models pass among so few'
    """
    return f"Only {compared} points can be compared, and most models pass among so few" if compared < FEW else None


def overfitting(held_out: float, lowest: float) -> str | None:
    """That a model overfits, by its last held-out loss and the lowest of its training; None where it does not.

    >>> overfitting(1.16, 0.94)
    'the held-out loss was lower on the way (0.9400): the model is overfitting'
    """
    if held_out <= _WORSE * lowest:
        return None
    return f"the held-out loss was lower on the way ({lowest:.4f}): the model is overfitting"
