"""Kernels of the crossbar: currents at every node, exact solution of single lines, conjugate gradients over all lines.

Words are rows, bits are columns; node (i, j) of either lies at cell (i, j). A line without resistance keeps one value
in all its nodes, and only the sum over its nodes counts.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def factor_rows(D, g, gt, rigid, upper, pivot):
    """Eliminate each word line from its driver to its end; sums of positive numbers only, so nothing cancels.

    ``pivot`` becomes the inverse of what each node divides by, ``upper`` the share it hands to the next; returns the
    first line that nothing holds, or -1.
    """
    M, N = D.shape
    loose = -1
    for i in range(M):
        e = gt[i]
        if rigid:
            for j in range(N):
                e += D[i, j]
            pivot[i, 0] = 1.0 / e if e > 0.0 else 0.0
        else:
            for j in range(N - 1):
                e += D[i, j]
                pivot[i, j] = 1.0 / (e + g)
                upper[i, j] = g * pivot[i, j]
                e *= upper[i, j]
            e += D[i, N - 1]
            pivot[i, N - 1] = 1.0 / e if e > 0.0 else 0.0
        if not e > 0.0:
            loose = i
    return loose


@njit(cache=True)
def factor_columns(D, g, gt, rigid, upper, pivot):
    """The same for bit lines, eliminated from the first row to the sense amplifier in the last."""
    M, N = D.shape
    e = np.zeros(N)
    if rigid:
        e += gt
        for i in range(M):
            for j in range(N):
                e[j] += D[i, j]
        for j in range(N):
            pivot[0, j] = 1.0 / e[j] if e[j] > 0.0 else 0.0
    else:
        for i in range(M - 1):
            for j in range(N):
                e[j] += D[i, j]
                pivot[i, j] = 1.0 / (e[j] + g)
                upper[i, j] = g * pivot[i, j]
                e[j] *= upper[i, j]
        for j in range(N):
            e[j] += D[M - 1, j] + gt[j]
            pivot[M - 1, j] = 1.0 / e[j] if e[j] > 0.0 else 0.0
    for j in range(N):
        if not e[j] > 0.0:
            return j
    return -1


@njit(cache=True)
def solve_rows(rhs, rigid, upper, pivot, out):
    """Voltages of the word lines for the currents ``rhs`` into their nodes."""
    M, N = rhs.shape
    for i in range(M):
        if rigid:
            y = 0.0
            for j in range(N):
                y += rhs[i, j]
            y *= pivot[i, 0]
            for j in range(N):
                out[i, j] = y
        else:
            y = rhs[i, 0]
            out[i, 0] = y
            for j in range(1, N):
                y = rhs[i, j] + upper[i, j - 1] * y
                out[i, j] = y
            y *= pivot[i, N - 1]
            out[i, N - 1] = y
            for j in range(N - 2, -1, -1):
                y = out[i, j] * pivot[i, j] + upper[i, j] * y
                out[i, j] = y


@njit(cache=True)
def imbalance(w, b, ew, eb, cell_A, gw, gb, gtw, gtb, rigid_w, rigid_b, Fw, Fb):
    """Sum of the currents that leave each node, and of its absolute values over all nodes.

    ``w`` and ``b`` are measured from the node of each line nearest to its source, ``ew`` and ``eb`` are what that node
    differs from the source: small drops keep all their digits. A node that is held directly (infinite conductance) has
    no balance to meet.
    """
    M, N = cell_A.shape
    total = 0.0
    for i in range(M):
        line = 0.0
        for j in range(N):
            f = cell_A[i, j]
            if not rigid_w:
                if j > 0:
                    f += gw * (w[i, j] - w[i, j - 1])
                if j < N - 1:
                    f += gw * (w[i, j] - w[i, j + 1])
            if j == 0 and gtw[i] < np.inf:
                f += gtw[i] * (ew[i] + w[i, 0])
            Fw[i, j] = f
            if rigid_w:
                line += f
            else:
                total += abs(f)
        if rigid_w and gtw[i] < np.inf:
            total += abs(line)
    lines = np.zeros(N)
    for i in range(M):
        for j in range(N):
            f = -cell_A[i, j]
            if not rigid_b:
                if i > 0:
                    f += gb * (b[i, j] - b[i - 1, j])
                if i < M - 1:
                    f += gb * (b[i, j] - b[i + 1, j])
            if i == M - 1 and gtb[j] < np.inf:
                f += gtb[j] * (eb[j] + b[i, j])
            Fb[i, j] = f
            if rigid_b:
                lines[j] += f
            else:
                total += abs(f)
    if rigid_b:
        for j in range(N):
            if gtb[j] < np.inf:
                total += abs(lines[j])
    return total


# sums may be taken in any order: the imbalance that counts is always computed anew, by `imbalance`
_ANY_ORDER = {"reassoc", "contract", "nsz"}


@njit(cache=True)
def _gather(a):
    """Put the sum of each column into its first row; what a bit line without resistance sees of its nodes."""
    M, N = a.shape
    for i in range(1, M):
        for j in range(N):
            a[0, j] += a[i, j]
            a[i, j] = 0.0


@njit(cache=True, fastmath=_ANY_ORDER)
def newton_step(D, Fw, Fb, gtb, rigid_w, rigid_b, uw, pw, ub, pb, goal, most, dw, db):
    """Solve J (dw, db) = -(Fw, Fb): words eliminated exactly, conjugate gradients on bits, whole bit lines as
    preconditioner.

    Stops when the imbalance that is left (all of it on bit lines) falls below ``goal``; returns it and the number of
    iterations, negative where the method broke down. The passes over the array are few because memory decides the time.
    """
    M, N = D.shape
    r = np.empty((M, N))
    q = np.zeros((M, N))
    z = np.zeros((M, N))
    p = np.zeros((M, N))
    s = np.zeros((M, N))  # currents that the bit lines draw at p
    row = np.empty(N)
    solve_rows(Fw, rigid_w, uw, pw, dw)
    for i in range(M):
        for j in range(N):
            r[i, j] = -Fb[i, j] - D[i, j] * dw[i, j]
            db[i, j] = 0.0
    if rigid_b:
        _gather(r)
        for j in range(N):
            if gtb[j] == np.inf:
                r[0, j] = 0.0
    alpha, rz, done = 0.0, 0.0, 0
    while True:
        left = 0.0
        for i in range(M):
            for j in range(N):
                db[i, j] += alpha * p[i, j]
                r[i, j] -= alpha * q[i, j]
                left += abs(r[i, j])
            if not rigid_b:
                if i == 0:
                    for j in range(N):
                        z[0, j] = r[0, j]
                else:
                    for j in range(N):
                        z[i, j] = r[i, j] + ub[i - 1, j] * z[i - 1, j]
        if left <= goal or done >= most:
            break
        new = 0.0
        if rigid_b:
            for j in range(N):
                z[0, j] = r[0, j] * pb[0, j]
                new += r[0, j] * z[0, j]
            for i in range(1, M):
                for j in range(N):
                    z[i, j] = z[0, j]
        else:
            for j in range(N):
                z[M - 1, j] *= pb[M - 1, j]
                new += r[M - 1, j] * z[M - 1, j]
            for i in range(M - 2, -1, -1):
                for j in range(N):
                    z[i, j] = z[i, j] * pb[i, j] + ub[i, j] * z[i + 1, j]
                    new += r[i, j] * z[i, j]
        beta = new / rz if done else 0.0
        rz = new
        pq = 0.0
        for i in range(M):
            for j in range(N):
                p[i, j] = z[i, j] + beta * p[i, j]
                s[i, j] = r[i, j] + beta * s[i, j]
                row[j] = D[i, j] * p[i, j]
            if rigid_w:
                y = 0.0
                for j in range(N):
                    y += row[j]
                y *= pw[i, 0]
                for j in range(N):
                    row[j] = y
            else:
                for j in range(1, N):
                    row[j] += uw[i, j - 1] * row[j - 1]
                row[N - 1] *= pw[i, N - 1]
                for j in range(N - 2, -1, -1):
                    row[j] = row[j] * pw[i, j] + uw[i, j] * row[j + 1]
            for j in range(N):
                q[i, j] = s[i, j] - D[i, j] * row[j]
                pq += p[i, j] * q[i, j]
        if rigid_b:
            _gather(q)
            for j in range(N):
                if gtb[j] == np.inf:
                    q[0, j] = 0.0
        done += 1
        if not (pq > 0.0 and rz > 0.0):
            done = -done
            break
        alpha = rz / pq
    for i in range(M):
        for j in range(N):
            z[i, j] = D[i, j] * db[i, j] - Fw[i, j]
    solve_rows(z, rigid_w, uw, pw, dw)
    return left, done
