"""benchmark.scoring.toeplitz: laws of the factor, the product and the solution, nearly singular too."""

import numpy as np
import pytest

from benchmark.scoring import toeplitz
from benchmark.scoring.toeplitz import BlockToeplitz, cholesky_factor, dense, product


def first_column(num_blocks: int, size: int, ridge: float = 1e-3, equal: bool = False) -> np.ndarray:
    """The correlations of noise signals at lags 0 to n - 1: positive definite, or singular where two are equal."""
    rng = np.random.default_rng(num_blocks)
    signals = rng.normal(size=(size, 300)) + 1
    if equal:
        signals[1] = signals[0]
    padded = np.pad(signals, ((0, 0), (num_blocks, 0)))
    blocks = np.stack([padded[:, num_blocks - lag : num_blocks - lag + 300] @ signals.T for lag in range(num_blocks)])
    blocks[0].flat[:: size + 1] += ridge
    return blocks


@pytest.mark.parametrize(("num_blocks", "size"), [(1, 1), (1, 3), (7, 1), (6, 2), (40, 4)])
def test_the_factor_is_that_of_dense_cholesky(num_blocks, size):
    column = first_column(num_blocks, size)
    matrix = dense(column)
    for row in range(num_blocks):
        for other in range(row + 1):
            block = matrix[row * size : (row + 1) * size, other * size : (other + 1) * size]
            np.testing.assert_array_equal(block, column[row - other])
    np.testing.assert_array_equal(matrix, matrix.T)
    factor = cholesky_factor(column)
    np.testing.assert_allclose(factor, np.linalg.cholesky(matrix), atol=1e-8 * np.abs(factor).max())


def test_product_is_that_of_the_dense_matrix():
    column = first_column(13, 3)
    vectors = np.random.default_rng(0).normal(size=(39, 5))
    np.testing.assert_allclose(product(column, vectors), dense(column) @ vectors, rtol=1e-10)


@pytest.mark.parametrize("is_dense", [False, True])
def test_solutions_leave_no_residual(is_dense, monkeypatch):
    monkeypatch.setattr(toeplitz, "_DENSE_UP_TO", 1000 if is_dense else 0)
    column = first_column(60, 3)
    target = np.random.default_rng(0).normal(size=(180, 4))
    matrix = BlockToeplitz(column)
    assert matrix._is_dense == is_dense
    np.testing.assert_allclose(matrix.solve(target), np.linalg.solve(dense(column), target), rtol=1e-8)


def test_a_singular_matrix_is_solved_by_dense_cholesky_with_a_ridge(monkeypatch):
    monkeypatch.setattr(toeplitz, "_DENSE_UP_TO", 0)
    column = first_column(50, 3, ridge=0, equal=True)
    with pytest.raises(np.linalg.LinAlgError):
        cholesky_factor(column)
    target = dense(column) @ np.random.default_rng(0).normal(size=(150, 2))  # in its range, as correlations are
    matrix = BlockToeplitz(column)
    solution = matrix.solve(target)
    assert matrix._is_dense
    np.testing.assert_allclose(dense(column) @ solution, target, atol=1e-9 * np.abs(target).max())


def test_a_factor_that_turns_out_inexact_is_replaced(monkeypatch):
    monkeypatch.setattr(toeplitz, "_DENSE_UP_TO", 0)
    monkeypatch.setattr(toeplitz, "cholesky_factor", lambda column: 2.0 * np.eye(180))
    column = first_column(60, 3)
    target = np.random.default_rng(0).normal(size=(180, 4))
    np.testing.assert_allclose(BlockToeplitz(column).solve(target), np.linalg.solve(dense(column), target), rtol=1e-8)
