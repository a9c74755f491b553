"""Symmetric positive definite block Toeplitz matrices: the normal equations of least-squares filters.

`T[l, m] = R[l - m]` for m x m blocks and `R[-k] = R[k]^T`. Dense Cholesky needs the whole matrix, and its size cubed in
steps. The block Schur algorithm computes the factor from the first block column, in 4 m times its size squared.
"""

import numpy as np

_DENSE_UP_TO = 1024
"""Dense Cholesky is as fast up to this number of rows."""
_MAX_RESIDUAL = 1e-12


class BlockToeplitz:
    """A block Toeplitz matrix, factorised once and solved for any number of right-hand sides.

    A solution is refined until its residual is a rounding error. If the matrix is singular in floating point (two equal
    channels, for example), the Schur algorithm fails or does not reach that residual. Then dense Cholesky is used, with
    the smallest sufficient ridge of 1e-14, 1e-13, ... of the mean diagonal.

    Args:
        first_column: the blocks R[0] to R[n - 1], [n, m, m] in float64.
    """

    def __init__(self, first_column: np.ndarray) -> None:
        self._column = first_column
        self._is_dense = len(first_column) * first_column.shape[1] <= _DENSE_UP_TO
        if not self._is_dense:
            try:
                self._factor = cholesky_factor(first_column)
            except np.linalg.LinAlgError:
                self._is_dense = True
        if self._is_dense:
            self._factor = _dense_factor(first_column)

    def solve(self, target: np.ndarray) -> np.ndarray:
        """The solutions of T x = target, both [n * m, N]."""
        solution, residual = self._refine(target)
        if residual > _MAX_RESIDUAL and not self._is_dense:
            self._factor, self._is_dense = _dense_factor(self._column), True
            solution, _ = self._refine(target)
        return solution

    def _refine(self, target: np.ndarray) -> tuple[np.ndarray, float]:
        from scipy.linalg import cho_solve

        scale = float(np.linalg.norm(target)) or 1.0
        solution = cho_solve((self._factor, True), target, check_finite=False)
        for _ in range(3):
            rest = target - product(self._column, solution)
            residual = float(np.linalg.norm(rest)) / scale
            if residual <= _MAX_RESIDUAL:
                break
            solution += cho_solve((self._factor, True), rest, check_finite=False)
        return solution, residual


def _dense_factor(first_column: np.ndarray) -> np.ndarray:
    from scipy.linalg import cholesky

    mean = float(np.trace(first_column[0])) / first_column.shape[1]
    ridge = 0.0
    while True:
        matrix = dense(first_column)
        matrix.reshape(-1)[:: len(matrix) + 1] += ridge * mean
        try:
            return cholesky(matrix.T, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            ridge = 10 * ridge or 1e-14


def cholesky_factor(first_column: np.ndarray) -> np.ndarray:
    """The lower Cholesky factor by the block Schur algorithm.

    With `T[0] = L0 L0^T`, `A = T[:, 0] L0^-T` and `B` the same without its first block, `T - Z T Z^T = A A^T - B B^T`,
    where Z shifts down by one block. `A` is the factor's first block column. For each further column, `A` is shifted by
    one block and rotated with `B`, so that the first block of `B` becomes zero; the rotation keeps `A A^T - B B^T`.

    Source: T. Kailath, A. H. Sayed, "Displacement structure: theory and applications", SIAM Review 37, 1995; the
        rotation in its mixed form, in which the new `B` follows from the new `A`: A. W. Bojanczyk et al., "On the
        stability of the Bareiss and related Toeplitz factorization algorithms", 1995.

    Args:
        first_column: the blocks R[0] to R[n - 1].

    Shape:
        - first_column: [n, m, m]
        - output: [n * m, n * m] in Fortran order, zeros above the diagonal.

    Raises:
        LinAlgError: the matrix is not positive definite in floating point.
    """
    num_blocks, size, _ = first_column.shape
    num_rows = num_blocks * size
    factor = np.zeros((num_rows, num_rows)).T  # the system allocates memory only where the factor is written
    identity = np.eye(size)
    root = np.linalg.cholesky(first_column[0])
    column = np.linalg.solve(root, first_column.reshape(num_rows, size).T)  # transposed from here on: [m, rows]
    factor.T[:size] = column
    rest = column.copy()
    for start in range(size, num_rows, size):
        shifted = factor.T[start - size : start, start - size : num_rows - size]
        rest = rest[:, size:]
        reflection = np.linalg.solve(shifted[:, :size].T, rest[:, :size].T)  # K
        left = np.linalg.cholesky(identity - reflection @ reflection.T)  # P
        right = np.linalg.cholesky(identity - reflection.T @ reflection)  # Q
        column = np.linalg.solve(left, shifted - reflection @ rest)
        rest = right.T @ rest - np.linalg.solve(left, reflection @ right).T @ column
        factor.T[start : start + size, start:] = column
    return factor


def dense(first_column: np.ndarray) -> np.ndarray:
    """The matrix itself, [n * m, n * m], of the blocks [n, m, m]."""
    num_blocks, size, _ = first_column.shape
    lags = np.concatenate((first_column[:0:-1].transpose(0, 2, 1), first_column))  # lags 1 - n to n - 1
    windows = np.lib.stride_tricks.sliding_window_view(lags, num_blocks, axis=0)[:, :, :, ::-1]  # [n, m, m, n]
    return windows.transpose(0, 1, 3, 2).reshape(num_blocks * size, num_blocks * size)


def product(first_column: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The matrix times vectors [n * m, N], through circular convolution."""
    import scipy.fft

    num_blocks, size, _ = first_column.shape
    zero = np.zeros((1, size, size))
    circle = np.concatenate(
        (first_column, zero, first_column[:0:-1].transpose(0, 2, 1))
    )  # lags 0 to n - 1, 1 - n to -1
    spectra = scipy.fft.rfft(circle, axis=0)
    padded = scipy.fft.rfft(vectors.reshape(num_blocks, size, -1), 2 * num_blocks, axis=0)
    return scipy.fft.irfft(spectra @ padded, 2 * num_blocks, axis=0)[:num_blocks].reshape(vectors.shape)
