"""Equations of the compact models over whole arrays."""

from __future__ import annotations

from numba import njit

from ...compact import laws

_log_sinhc = njit(cache=True)(laws.log_sinhc)


@njit(cache=True)
def log_sinhc(u, out):
    """:func:`halidrift.compact.laws.log_sinhc` of every element."""
    M, N = u.shape
    for i in range(M):
        for j in range(N):
            out[i, j] = _log_sinhc(u[i, j])
