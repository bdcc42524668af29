"""scikit-learn's checks of estimators: the installed version's, with pandas and with array API dispatch."""

import os
import subprocess
import sys

import pytest

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")

# SCIPY_ARRAY_API is read when SciPy is first imported, so the checks have a process of their own.
RUN = """
import json, warnings
warnings.simplefilter("ignore")
from sklearn.utils.estimator_checks import check_estimator
from mechanet import backend, estimators

no_cuda = not any(device.usable for device in backend.devices() if device.name != "cpu")
estimator = getattr(estimators, {name!r})(max_iter=100)  # as scikit-learn has its own checked
results = check_estimator(estimator, on_skip=None, on_fail=None)
print(json.dumps([
    [r["status"], r["check_name"], "no CUDA" if no_cuda and "CUDARuntimeError" in repr(r["exception"]) else
     repr(r["exception"])] for r in results
]))
"""


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_check_estimator(name):
    import json

    pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(name=name)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    # CuPy without a GPU makes no array at all: the check cannot start.
    wrong = [r for r in results if r[0] not in ("passed", "skipped") and r[2] != "no CUDA"]
    assert wrong == []
    passed = [check for status, check, _ in results if status == "passed"]
    assert len(passed) >= 55
    assert "check_array_api_input" in passed
    assert "check_sample_weight_equivalence_on_dense_data" in passed
    assert not [check for status, check, _ in results if status == "skipped" and "pandas" in _]
