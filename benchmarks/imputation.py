"""Missing cells of real tables filled, and checked against the values that were held back.

    python benchmarks/imputation.py                       iris and wine, of scikit-learn
    python benchmarks/imputation.py --table iris --seeds 10

For each seed four fifths of the rows are written to a file, and a network with default settings is trained on it. Of
the other rows a third of the cells is held back. The root mean squared error of what is filled in is in standard
deviations of the column; coverage is that of the intervals of the draws, 64 for each row. Beside them stand the mean
of the column, and the mean of the missing cells given the others under one Gaussian.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

METHODS = ("replacement", "repaint", "dps:zeta=0.3", "pigdm", "mmps", "tds")
SHARE = 1 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs="+", default=["iris", "wine"])
    parser.add_argument("--method", nargs="+", default=METHODS)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    print("| table | filled by | error | 50 % | 90 % |")
    print("|---|---|---|---|---|")
    for table in asked.table:
        results: dict[str, list[list[float]]] = {}
        for seed in range(asked.seeds):
            for name, figures in one_split(table, seed, asked.method).items():
                results.setdefault(name, []).append(figures)
        for name, figures in results.items():
            mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0, ddof=1) / np.sqrt(len(figures))
            covered = [f"{100 * m:.0f} ± {100 * s:.0f}" for m, s in zip(mean[1:], spread[1:], strict=True)]
            print(f"| {table} | {name} | {mean[0]:.3f} ± {spread[0]:.3f} | " + " | ".join(covered or ["", ""]) + " |")


def one_split(table: str, seed: int, methods: list[str]) -> dict[str, list[float]]:
    from sklearn import datasets

    rng = np.random.default_rng(seed)
    rows = rng.permutation(getattr(datasets, f"load_{table}")().data)
    cut = len(rows) * 4 // 5
    train, test = rows[:cut], rows[cut:]
    missing = rng.random(test.shape) < SHARE
    scale = train.std(axis=0)

    def error(filled: np.ndarray) -> float:
        return float(np.sqrt((((filled - test) / scale)[missing] ** 2).mean()))

    gaussian = np.where(missing, given_the_others(train, test, missing), test)
    results = {"the mean of the column": [error(np.where(missing, train.mean(axis=0), test))]}
    results["one Gaussian"] = [error(gaussian)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        columns = [f"c{i}" for i in range(rows.shape[1])]
        write(folder / "train.csv", columns, train, np.zeros(train.shape, bool))
        write(folder / "gaps.csv", columns, test, missing)
        diffuse(folder, "train", "--dataset", "file:train.csv", "--name", "table", "--no-figures")
        for method in methods:
            words = ["--impute", "gaps.csv", "--method", method, "--out", "filled.npz", "--seed", str(seed), "--json"]
            json.loads(diffuse(folder, "solve", "--run", "table", *words))
            with np.load(folder / "filled.npz") as filled:
                rank = (filled["draws"] < test).mean(axis=0)[missing]
                inside = [float((np.abs(rank - 0.5) < level / 2).mean()) for level in (0.5, 0.9)]
                results[f"`{method}`"] = [error(filled["mean"]), *inside]
    return results


def given_the_others(train: np.ndarray, test: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """The mean of the missing cells given the others, under the Gaussian with the moments of the training rows."""
    mean, covariance = train.mean(axis=0), np.cov(train.T)
    filled = np.tile(mean, (len(test), 1))
    for row, gap in enumerate(missing):
        if gap.any() and not gap.all():
            across, within = covariance[np.ix_(gap, ~gap)], covariance[np.ix_(~gap, ~gap)]
            filled[row, gap] = mean[gap] + across @ np.linalg.solve(within, test[row, ~gap] - mean[~gap])
    return filled


def write(path: Path, columns: list[str], rows: np.ndarray, missing: np.ndarray) -> None:
    cells = np.where(missing, "", rows.astype(str))
    path.write_text("\n".join(",".join(row) for row in [columns, *cells.tolist()]) + "\n")


def diffuse(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "diffuse_cli", *words, "--quiet"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
