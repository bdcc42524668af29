"""scikit-learn's own tests of its MLPs, from the installed package, with our classes in place of theirs."""

import pytest

neural_network = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")

from mechanet import estimators  # noqa: E402

# What is left out, and why. Everything else must pass.
LEFT_OUT = {
    "test_gradient": "calls _loss_grad_lbfgs, a private method of theirs; tests/test_gradcheck.py holds our gradients",
}

# Their warnings are told apart inside their tests.
pytestmark = pytest.mark.filterwarnings("ignore")


def _theirs():
    """Their test module, imported while our classes stand in for theirs; its parametrizations capture ours."""
    names = ("MLPClassifier", "MLPRegressor")
    originals = {name: getattr(neural_network, name) for name in names}
    try:
        for name in names:
            setattr(neural_network, name, getattr(estimators, name))
        return pytest.importorskip("sklearn.neural_network.tests.test_mlp", reason="without scikit-learn's tests")
    finally:
        for name, original in originals.items():
            setattr(neural_network, name, original)


theirs = _theirs()
THEIR_TESTS = {name: test for name, test in vars(theirs).items() if name.startswith("test_")}
for name, test in THEIR_TESTS.items():
    if name in LEFT_OUT:
        test = pytest.mark.skip(reason=f"{name} {LEFT_OUT[name]}")(test)
    globals()[name] = test


@pytest.fixture
def global_random_seed() -> int:
    return 42


def test_our_classes_are_the_ones_tested():
    assert theirs.MLPClassifier is estimators.MLPClassifier
    assert theirs.MLPRegressor is estimators.MLPRegressor
    assert set(LEFT_OUT) < set(THEIR_TESTS)
    assert len(THEIR_TESTS) >= 39  # functions, in scikit-learn 1.7; parametrized they make 59 tests in 1.9
