"""The threads of NumPy's BLAS, for tests that look whether they are given and given back."""

import threadpoolctl


def blas_threads() -> set[int]:
    """Of NumPy's BLAS; another's, such as SciPy's, may be loaded later and is none of our business."""
    pools = threadpoolctl.threadpool_info()
    return {
        pool["num_threads"] for pool in pools if pool["user_api"] == "blas" and "scipy.libs" not in pool["filepath"]
    }
