"""The estimators against scikit-learn's own, hand-worked numbers, and the habits of their users."""

import copy
import inspect
import pickle
import warnings

import numpy as np
import pytest

sk = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")

from scipy import sparse  # noqa: E402
from sklearn import config_context, datasets  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError  # noqa: E402
from sklearn.inspection import permutation_importance  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import mechanet as mn  # noqa: E402
from mechanet.estimators import MLPClassifier, MLPRegressor, from_sklearn  # noqa: E402

THEIRS = {MLPClassifier: sk.MLPClassifier, MLPRegressor: sk.MLPRegressor}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def standardized(load):
    X, y = load(return_X_y=True)
    return (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-12), y


@pytest.fixture(scope="module")
def cancer():
    return standardized(datasets.load_breast_cancer)


@pytest.fixture(scope="module")
def wine():
    return standardized(datasets.load_wine)


@pytest.fixture(scope="module")
def diabetes():
    X, y = standardized(datasets.load_diabetes)
    return X, (y - y.mean()) / y.std()


@pytest.fixture(scope="module")
def several():
    return datasets.make_multilabel_classification(n_samples=80, random_state=0)


def data_of(estimator, cancer, diabetes):
    return cancer if estimator is MLPClassifier else diabetes


# --- the same random_state gives the same model -----------------------------------------------------------------

OPTIONS = {
    "adam": {},
    "adam, small batches, tanh": {"batch_size": 32, "activation": "tanh"},
    "adam, logistic, no shuffling": {"activation": "logistic", "shuffle": False, "batch_size": 50},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "sgd, invscaling": {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling", "power_t": 0.3},
    "sgd, adaptive": {"solver": "sgd", "learning_rate_init": 0.2, "learning_rate": "adaptive", "tol": 0.05,
                      "n_iter_no_change": 2},
    "sgd, plain": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0, "nesterovs_momentum": False},
    "sgd, momentum": {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "strong penalty": {"alpha": 10.0, "batch_size": 100},
    "identity": {"activation": "identity"},
    "lbfgs": {"solver": "lbfgs"},
    "deep": {"hidden_layer_sizes": (12, 8, 4)},
    "none hidden": {"hidden_layer_sizes": ()},
}  # fmt: skip


@pytest.mark.parametrize("estimator", THEIRS)
@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_random_state_gives_scikit_learns_model(estimator, name, cancer, diabetes):
    X, y = data_of(estimator, cancer, diabetes)
    options = {"hidden_layer_sizes": (12,), "max_iter": 25, "random_state": 3, **OPTIONS[name]}
    ours, theirs = estimator(**options).fit(X, y), THEIRS[estimator](**options).fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
    assert (ours.n_layers_, ours.n_outputs_) == (theirs.n_layers_, theirs.n_outputs_)
    assert ours.out_activation_ == theirs.out_activation_
    # L-BFGS multiplies the rounding of a sum from step to step.
    rtol = 1e-3 if options.get("solver") == "lbfgs" else 1e-6
    for mine, other in zip([*ours.coefs_, *ours.intercepts_], [*theirs.coefs_, *theirs.intercepts_], strict=True):
        np.testing.assert_allclose(mine, other, rtol, atol=rtol)
    if options.get("solver") != "lbfgs":
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
        assert ours.best_loss_ == (pytest.approx(theirs.best_loss_) if theirs.best_loss_ is not None else None)
    if options.get("early_stopping"):
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-6)
        assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)


def test_many_classes_and_many_labels_give_scikit_learns_model(wine, several):
    for X, y in (wine, several, (wine[0], np.array(["a", "b", "c"], dtype=object)[wine[1]])):
        options = {"hidden_layer_sizes": (9,), "max_iter": 10, "random_state": 1, "batch_size": 20}
        ours, theirs = MLPClassifier(**options).fit(X, y), sk.MLPClassifier(**options).fit(X, y)
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-7)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        assert ours.predict(X).dtype.kind == theirs.predict(X).dtype.kind


def test_poisson_gives_scikit_learns_model(diabetes, rng):
    X, y = diabetes[0], rng.poisson(np.exp(diabetes[1]))
    if "loss" not in sk.MLPRegressor().get_params():
        pytest.skip("scikit-learn before 1.7 has no Poisson loss")
    options = {"loss": "poisson", "hidden_layer_sizes": (9,), "max_iter": 10, "random_state": 1}
    ours, theirs = MLPRegressor(**options).fit(X, y), sk.MLPRegressor(**options).fit(X, y)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-7)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)


@pytest.mark.parametrize("estimator", THEIRS)
def test_lbfgs_has_scikit_learns_loss_after_50_iterations(estimator, cancer, diabetes):
    X, y = data_of(estimator, cancer, diabetes)
    options = {"solver": "lbfgs", "hidden_layer_sizes": (10,), "max_iter": 50, "tol": 0.0, "random_state": 0,
               "alpha": 0.1}  # fmt: skip
    ours, theirs = estimator(**options).fit(X, y), THEIRS[estimator](**options).fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_ == 50
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sample_weights_give_scikit_learns_model(solver, cancer, rng):
    if "sample_weight" not in inspect.signature(sk.MLPClassifier.fit).parameters:
        pytest.skip("scikit-learn before 1.7 takes no sample_weight")
    X, y = cancer
    weight = rng.integers(1, 4, len(y)).astype("float64")
    options = {"hidden_layer_sizes": (9,), "max_iter": 10, "random_state": 1, "solver": solver, "batch_size": 600}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ours, theirs = (kind(**options).fit(X, y, weight) for kind in (MLPClassifier, sk.MLPClassifier))
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-4)


def test_partial_fit_and_warm_start_go_on_as_scikit_learn(cancer):
    X, y = cancer
    models = []
    for kind in (MLPClassifier, sk.MLPClassifier):
        model = kind((9,), random_state=1, max_iter=3, warm_start=True, batch_size=64).fit(X, y).fit(X, y)
        models.append(model.partial_fit(X[:200], y[:200]).partial_fit(X[200:], y[200:]))
    ours, theirs = models
    assert (ours.t_, ours.n_iter_) == (theirs.t_, theirs.n_iter_)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6)


def test_partial_fit_from_the_start_is_scikit_learns(cancer):
    X, y = cancer
    ours, theirs = (kind((9,), random_state=1, batch_size=64) for kind in (MLPClassifier, sk.MLPClassifier))
    for _ in range(3):
        for model in (ours, theirs):
            model.partial_fit(X, y, classes=[0, 1])
        assert (ours.t_, ours.n_iter_) == (theirs.t_, theirs.n_iter_)
        np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)


def test_several_outputs_sum_their_losses(rng):
    """By hand: no weights but biases 0; errors 1 and 3 give ½ (1 + 9) = 5, where scikit-learn shows the mean, 2.5."""
    X, Y = np.zeros((4, 2)), np.tile([[1.0, 3.0]], (4, 1))
    model = MLPRegressor(hidden_layer_sizes=(), alpha=0.0, max_iter=1, solver="sgd").partial_fit(X, Y)
    model.coefs_, model.intercepts_ = [np.zeros((2, 2))], [np.zeros(2)]
    assert model.partial_fit(X, Y).loss_ == 5.0


# --- what scikit-learn refuses ----------------------------------------------------------------------------------


def test_class_weight_balances_a_rare_class(rng):
    X = np.concatenate([rng.normal(0.0, 1.0, (190, 2)), rng.normal(1.5, 1.0, (10, 2))])
    y = np.repeat(["common", "rare"], [190, 10])
    options = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "alpha": 1.0, "random_state": 0}
    plain, balanced = (MLPClassifier(class_weight=w, **options).fit(X, y) for w in (None, "balanced"))
    assert np.mean(balanced.predict(X[190:]) == "rare") > np.mean(plain.predict(X[190:]) == "rare")
    by_hand = MLPClassifier(**options).fit(X, y, np.where(y == "rare", 200 / (2 * 10), 200 / (2 * 190)))
    np.testing.assert_allclose(balanced.predict_proba(X), by_hand.predict_proba(X), rtol=1e-12)
    named = MLPClassifier(class_weight={"rare": 10.0, "common": 200 / 380}, **options).fit(X, y)
    np.testing.assert_allclose(balanced.predict_proba(X), named.predict_proba(X), rtol=1e-12)


def test_dropout_and_activations_build_the_network(wine):
    pair = (lambda xp, Z: Z * Z, lambda xp, dA, Z, A: 2.0 * dA * Z)
    model = MLPClassifier((8, 6, 4), ["gelu", mn.LeakyReLU(0.2), pair], dropout=[0.1, 0.0, 0.2], max_iter=3)
    model.fit(*wine)
    kinds = [type(layer).__name__ for layer in model.network_.layers]
    assert kinds == ["Dense", "GELU", "Dropout", "Dense", "LeakyReLU", "Dense", "Activation", "Dropout", "Dense"]
    assert model.network_.layers[4].slope == 0.2
    one = MLPClassifier((8, 6), pair, max_iter=2).fit(*wine)
    assert [type(layer).__name__ for layer in one.network_.layers] == ["Dense", "Activation"] * 2 + ["Dense"]


def test_dropout_is_reproducible_and_absent_in_prediction(wine):
    X, y = wine
    a, b, c = (MLPClassifier((20,), dropout=0.5, random_state=s, max_iter=5).fit(X, y) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    np.testing.assert_array_equal(a.predict_proba(X), a.predict_proba(X))
    assert not np.array_equal(a.coefs_[0], c.coefs_[0])


def test_label_smoothing(wine, cancer):
    """The best that a network can do is then 1 - ε + ε / k, not 1: L-BFGS gets there."""
    for (X, y), k in ((wine, 3), (cancer, 2)):
        model = MLPClassifier((20,), solver="lbfgs", label_smoothing=0.3, alpha=0.0, max_iter=400, random_state=0)
        assert np.median(model.fit(X, y).predict_proba(X).max(axis=1)) == pytest.approx(0.7 + 0.3 / k, abs=0.02)


def test_huber_ignores_outliers(rng):
    X = rng.normal(size=(200, 1))
    y = 2.0 * X[:, 0]
    y[:10] += 100.0
    options = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 0.0, "max_iter": 500, "random_state": 0}
    slope = {loss: MLPRegressor(loss, **options).fit(X, y).coefs_[0].item() for loss in ("squared_error", "huber")}
    assert abs(slope["huber"] - 2.0) < 0.2 < abs(slope["squared_error"] - 2.0)
    assert MLPRegressor(mn.Huber(0.5), **options).fit(X, y).network_.loss.delta == 0.5


def test_validation_data_is_scored_and_never_trained_on(cancer):
    X, y = cancer
    held = (X[400:], y[400:])
    options = {"hidden_layer_sizes": (9,), "max_iter": 6, "random_state": 0}
    model = MLPClassifier(validation_data=held, **options).fit(X[:400], y[:400])
    plain = MLPClassifier(**options).fit(X[:400], y[:400])
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
    assert model.n_iter_ == len(model.validation_scores_) == len(model.validation_loss_curve_) == 6
    assert model.validation_scores_[-1] == model.score(*held)
    P = model.predict_proba(held[0])[np.arange(len(held[1])), held[1]]
    assert model.validation_loss_curve_[-1] == pytest.approx(-np.log(P).mean(), rel=1e-9)
    assert plain.validation_scores_ is None


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("case", ["two classes", "three classes", "several labels", "regression", "two outputs"])
def test_weights_of_validation_data_count(case, solver, cancer, wine, several, diabetes, rng):
    """Loss and score of the last epoch are the averages, by weight, of what the model makes of each row."""
    X, y = {"two classes": cancer, "three classes": wine, "several labels": several, "regression": diabetes,
            "two outputs": (diabetes[0], diabetes[0][:, :2])}[case]  # fmt: skip
    kind = MLPRegressor if case in ("regression", "two outputs") else MLPClassifier
    weights = rng.integers(0, 4, len(y)).astype("float64")
    options = {"hidden_layer_sizes": (9,), "solver": solver, "max_iter": 4, "random_state": 0}
    model = kind(validation_data=(X, y, weights), **options).fit(X, y)
    if kind is MLPRegressor:
        losses = (0.5 * (model.predict(X) - y) ** 2).reshape(len(y), -1).sum(axis=1)
    elif case == "several labels":
        losses = -np.log(np.where(y == 1, model.predict_proba(X), 1.0 - model.predict_proba(X))).sum(axis=1)
    else:
        losses = -np.log(model.predict_proba(X)[np.arange(len(y)), y])
    found = model.validation_loss_curve_[-1], model.validation_scores_[-1]
    assert found == pytest.approx((np.average(losses, weights=weights), model.score(X, y, weights)), rel=1e-9)
    assert found != pytest.approx((losses.mean(), model.score(X, y)), rel=1e-4)


def test_early_stopping_keeps_the_best_epoch(cancer):
    X, y = cancer
    model = MLPClassifier((9,), early_stopping=True, validation_data=(X[400:], y[400:]), learning_rate_init=0.05,
                          n_iter_no_change=3, max_iter=200, random_state=0)  # fmt: skip
    model.fit(X[:400], y[:400])
    assert model.converged_
    assert model.n_iter_ < 200
    assert model.score(X[400:], y[400:]) == model.best_validation_score_ == max(model.validation_scores_)


def test_early_stopping_with_partial_fit(cancer):
    X, y = cancer
    model = MLPClassifier((9,), early_stopping=True, validation_data=(X[400:], y[400:]), learning_rate_init=0.05,
                          n_iter_no_change=3, random_state=0)  # fmt: skip
    for call in range(200):
        model.partial_fit(X[:400], y[:400], classes=[0, 1])
        assert len(model.validation_scores_) == call + 1
        if model.converged_:
            break
    assert model.converged_
    assert model.score(X[400:], y[400:]) == max(model.validation_scores_)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True without validation_data"):
        MLPClassifier(early_stopping=True).partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("measured", [True, False], ids=["with validation data", "alone"])
def test_on_epoch_sees_and_stops(solver, measured, cancer):
    X, y = cancer
    seen, held_out = [], cancer if measured else None

    def on_epoch(estimator, epoch):
        seen.append((epoch.number, epoch.loss, epoch.validation_accuracy))
        return epoch.number == 4

    model = MLPClassifier((9,), solver=solver, on_epoch=on_epoch, validation_data=held_out, random_state=0).fit(X, y)
    assert [number for number, _, _ in seen] == [1, 2, 3, 4]
    assert model.n_iter_ == 4
    assert model.converged_
    assert seen[-1][1] == pytest.approx(model.loss_, rel=1e-9)
    assert seen[-1][2] == (model.score(X, y) if measured else None)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("measured", [True, False], ids=["with validation data", "alone"])
def test_verbose_prints_every_iteration(solver, measured, cancer, capsys):
    losses, held_out = [], cancer if measured else None
    options = {"hidden_layer_sizes": (9,), "solver": solver, "max_iter": 3, "random_state": 0}
    model = MLPClassifier(verbose=True, validation_data=held_out, **options).fit(*cancer)
    lines = capsys.readouterr().out.splitlines()
    MLPClassifier(on_epoch=lambda estimator, epoch: losses.append(epoch.loss), **options).fit(*cancer)
    told = [f"Iteration {number}, loss = {loss:.8f}" for number, loss in enumerate(losses, 1)]
    scores = [f"Validation score: {score:f}" for score in model.validation_scores_ or ()]
    assert lines == ([line for pair in zip(told, scores, strict=True) for line in pair] if measured else told)
    assert len(told) == 3


def test_gradient_clip_and_schedules_reach_the_training(cancer):
    X, y = cancer
    rates = []
    options = {"hidden_layer_sizes": (9,), "max_iter": 5, "random_state": 0, "learning_rate_init": 0.1,
               "batch_size": 569}  # fmt: skip
    MLPClassifier(learning_rate="cosine", on_epoch=lambda e, epoch: rates.append(epoch.learning_rate), **options).fit(X, y)
    # 0.1 · ½ (1 + cos(π k / 4)) for the k-th of five steps
    np.testing.assert_allclose(rates, 0.1 * 0.5 * (1 + np.cos(np.pi * np.arange(5) / 4)), atol=1e-12)
    rates.clear()
    model = MLPClassifier(learning_rate="exponential", on_epoch=lambda e, epoch: rates.append(epoch.learning_rate), **options)
    for _ in range(5):
        model.partial_fit(X, y, classes=[0, 1])
    np.testing.assert_allclose(rates, 0.1 * 0.01 ** (np.arange(5) / 4), rtol=1e-12)
    small = MLPClassifier(solver="sgd", gradient_clip=1e-9, momentum=0.0, **options).fit(X, y)
    start = sk.MLPClassifier(solver="sgd", **{**options, "learning_rate_init": 1e-12}).fit(X, y)
    np.testing.assert_allclose(small.coefs_[0], start.coefs_[0], atol=1e-8)


def test_the_network_is_there_to_look_at(wine, tmp_path):
    X, y = wine
    model = MLPClassifier((9,), max_iter=5, random_state=0).fit(X, y)
    model.network_.save(tmp_path / "wine.safetensors")
    again = mn.Network.load(tmp_path / "wine.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.dtype == "float64"


# --- habits ---------------------------------------------------------------------------------------------------


def test_sparse_rows_are_dense_rows(rng):
    X = sparse.random(700, 400, 0.05, "csc", random_state=0)
    y = np.asarray(X.sum(axis=1)).ravel() > 10
    for options in ({"batch_size": 64}, {"solver": "lbfgs"}, {"early_stopping": True}, {"batch_size": 700}):
        options |= {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
        model, dense = MLPClassifier(**options).fit(X, y), MLPClassifier(**options).fit(X.toarray(), y)
        np.testing.assert_allclose(model.coefs_[0], dense.coefs_[0], rtol=1e-9)
        np.testing.assert_array_equal(model.predict(X), dense.predict(X.toarray()))


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_several_labels_as_a_sparse_matrix_come_back_as_one(make, several):
    X, Y = several
    options = {"hidden_layer_sizes": (9,), "max_iter": 40, "learning_rate_init": 0.01, "random_state": 1}
    model, theirs = (kind(**options).fit(X, make(Y)) for kind in (MLPClassifier, sk.MLPClassifier))
    predicted = model.predict(X)
    assert type(predicted) is type(theirs.predict(X)) is sparse.csr_matrix
    np.testing.assert_array_equal(predicted.toarray(), MLPClassifier(**options).fit(X, Y).predict(X))
    np.testing.assert_array_equal(predicted.toarray(), theirs.predict(X).toarray())
    assert model.score(X, make(Y)) == model.score(X, Y) == theirs.score(X, Y) > 0.0
    watched = MLPClassifier(validation_data=(X, make(Y)), **options).fit(X, make(Y))
    assert watched.validation_scores_[-1] == model.score(X, Y)


@pytest.mark.parametrize(("kind", "columns"), [(MLPClassifier, 1), (MLPRegressor, 1), (MLPRegressor, 2)])
def test_a_sparse_y_of_something_else_is_refused(kind, columns, several):
    X, Y = several
    y = Y[:, :columns] if columns > 1 else Y[:, 0]
    wrong = sparse.csr_matrix(Y[:, :columns])
    for model, given in ((kind(), wrong), (kind(validation_data=(X, wrong)), y)):
        with pytest.raises(TypeError) as caught:
            model.fit(X, given)
        assert str(caught.value) == (
            "expected y as a dense array: only several labels may be sparse. "
            f"Received: y of type csr_matrix and shape (80, {columns}). Pass y.toarray()."
        )


def test_of_one_class_every_answer_is_that_class(cancer):
    model = MLPClassifier((9,), max_iter=2).fit(cancer[0], np.repeat("only", len(cancer[1])))
    for intercept in (-9.0, 9.0):  # the network says no, and yes
        model.coefs_, model.intercepts_[1] = [0.0 * W for W in model.coefs_], np.array([intercept])
        assert set(model.predict(cancer[0])) == {"only"}


def test_a_sparse_matrix_is_never_dense_as_a_whole(rng, monkeypatch):
    """4,000 rows of 1,000 doubles are 32 MB; the largest piece made dense stays within a block of 8 MB."""
    X = sparse.random(4_000, 1_000, 0.01, "csr", random_state=0)
    largest = 0
    plain = type(X).toarray

    def watched(self, *args, **kwargs):
        nonlocal largest
        largest = max(largest, self.shape[0] * self.shape[1] * 8)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(type(X), "toarray", watched)
    for options in ({"batch_size": 500}, {"solver": "lbfgs"}):
        MLPClassifier((2,), max_iter=1, **options).fit(X, rng.integers(0, 2, X.shape[0])).predict(X)
    assert 0 < largest <= 8 << 20


def test_float32_stays_float32(cancer):
    X, y = cancer[0].astype("float32"), cancer[1]
    for options in ({}, {"solver": "lbfgs"}):
        model = MLPClassifier((9,), max_iter=5, **options).fit(X, y)
        assert model.coefs_[0].dtype == model.predict_proba(X).dtype == "float32"
    assert MLPClassifier((9,), max_iter=2, dtype="float32").fit(X.astype("float64"), y).coefs_[0].dtype == "float32"
    assert MLPRegressor(hidden_layer_sizes=(9,), max_iter=2, dtype="float64").fit(X, y).predict(X).dtype == "float64"


@pytest.mark.parametrize("estimator", THEIRS)
def test_pickles_and_copies_go_on_alike(estimator, cancer, diabetes):
    X, y = data_of(estimator, cancer, diabetes)
    model = estimator(hidden_layer_sizes=(9,), max_iter=4, random_state=0).fit(X, y)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        assert np.shares_memory(twin.coefs_[0], twin.network_.parameters)
    twin.partial_fit(X, y)
    assert not np.array_equal(twin.coefs_[0], model.coefs_[0])
    np.testing.assert_array_equal(model.partial_fit(X, y).coefs_[0], twin.coefs_[0])
    assert not hasattr(clone(model), "coefs_")


def test_arrays_put_into_coefs_are_used(cancer):
    X, y = cancer
    model = MLPClassifier((9,), max_iter=2, random_state=0).fit(X, y)
    model.coefs_[1] = np.zeros_like(model.coefs_[1])
    model.intercepts_[1] = np.array([np.log(3.0)])
    np.testing.assert_allclose(model.predict_proba(X[:2]), [[0.25, 0.75]] * 2)
    model.coefs_[0] = np.zeros((3, 3))
    with pytest.raises(ValueError, match=r"expected coefs_ and intercepts_ of shapes \[\(30, 9\)"):
        model.predict(X)


def test_pipelines_searches_calibration_importance(wine):
    X, y = datasets.load_wine(return_X_y=True, as_frame=True)
    pipeline = make_pipeline(
        StandardScaler(), MLPClassifier((9,), max_iter=30, learning_rate_init=0.03, random_state=0)
    )
    pipeline.set_output(transform="pandas")
    search = GridSearchCV(pipeline, {"mlpclassifier__dropout": [0.0, 0.2]}, cv=2, n_jobs=2)
    search.fit(X, y)
    assert search.best_score_ > 0.9
    best = search.best_estimator_
    assert list(best[-1].feature_names_in_) == list(X.columns)
    importances = permutation_importance(best, X, y, n_repeats=1, random_state=0).importances_mean
    assert importances.shape == (13,)
    calibrated = CalibratedClassifierCV(MLPClassifier((9,), max_iter=30, random_state=0), cv=2).fit(*wine)
    np.testing.assert_allclose(calibrated.predict_proba(wine[0]).sum(axis=1), 1.0)
    with pytest.raises(ValueError, match="feature names"):
        best[-1].predict(pipeline[0].fit_transform(X).rename(columns={"alcohol": "spirit"}))


@pytest.mark.parametrize("case", ["binary", "multiclass", "several labels", "regression", "two outputs"])
def test_moving_over_and_back(case, cancer, wine, several, diabetes):
    X, y = {"binary": (cancer[0], np.array(["no", "yes"])[cancer[1]]), "multiclass": wine, "several labels": several,
            "regression": diabetes, "two outputs": (diabetes[0], diabetes[0][:, :2])}[case]  # fmt: skip
    kind = sk.MLPRegressor if case in ("regression", "two outputs") else sk.MLPClassifier
    theirs = kind(hidden_layer_sizes=(9,), max_iter=5, random_state=0).fit(X, y)
    ours = from_sklearn(theirs)
    back = ours.to_sklearn()
    ask = "predict" if kind is sk.MLPRegressor else "predict_proba"
    for model in (ours, back):
        np.testing.assert_allclose(getattr(model, ask)(X), getattr(theirs, ask)(X), rtol=1e-6)
        np.testing.assert_array_equal(model.predict(X), ours.predict(X))
        assert model.loss_curve_ == theirs.loss_curve_
    assert type(back) is kind
    assert ours.get_params()["max_iter"] == 5
    ours.partial_fit(X, y)
    back.partial_fit(X, y)
    np.testing.assert_allclose(ours.coefs_[0], back.coefs_[0], rtol=1e-6, atol=1e-9)


def test_moving_what_cannot_move(wine):
    with pytest.raises(ValueError, match="one activation out of identity, logistic, tanh, relu"):
        MLPClassifier((4,), "gelu", max_iter=1).fit(*wine).to_sklearn()
    with pytest.raises(NotFittedError):
        from_sklearn(sk.MLPClassifier())
    with pytest.raises(TypeError, match=r"expected a fitted sklearn.neural_network.MLPRegressor. Received: Standard"):
        from_sklearn(StandardScaler().fit(wine[0]))


# --- where X lives ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
@pytest.mark.parametrize("estimator", THEIRS)
def test_everything_follows_an_array_of_the_standard(estimator, device, cancer, diabetes, monkeypatch):
    strict = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # scikit-learn asks for it; nothing of SciPy runs here
    X, y = data_of(estimator, cancer, diabetes)
    here = strict.asarray(X, device=strict.Device(device))
    with config_context(array_api_dispatch=True):
        model = estimator(hidden_layer_sizes=(9,), max_iter=3, random_state=0).fit(here, y)
        predicted = model.predict(here)
        assert predicted.device == model.coefs_[0].device == here.device
    host = estimator(hidden_layer_sizes=(9,), max_iter=3, random_state=0).fit(X, y)
    np.testing.assert_allclose(mn.backend.to_host(predicted), host.predict(X), rtol=1e-9)


@pytest.mark.gpu
@pytest.mark.parametrize("estimator", THEIRS)
def test_numpy_in_numpy_out_on_a_gpu(estimator, cancer, diabetes):
    X, y = data_of(estimator, cancer, diabetes)
    options = {"hidden_layer_sizes": (9,), "max_iter": 4, "random_state": 0, "batch_size": 100}
    host, there = estimator(**options).fit(X, y), estimator(device="cuda", **options).fit(X, y)
    assert there.network_.device == "cuda:0"
    assert isinstance(there.predict(X), np.ndarray)
    assert isinstance(there.coefs_[0], np.ndarray)
    np.testing.assert_allclose(there.predict(X), host.predict(X), rtol=1e-6)
    np.testing.assert_allclose(there.coefs_[0], host.coefs_[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(there.to_device("cpu").predict(X), host.predict(X), rtol=1e-6)


ELSEWHERE = ["strict-device1", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("place", ELSEWHERE, indirect=True)
@pytest.mark.parametrize("estimator", THEIRS)
def test_an_array_that_numpy_cannot_read_stays_where_it_is_without_dispatch(estimator, place, cancer, diabetes):
    X, y = data_of(estimator, cancer, diabetes)
    options = {"hidden_layer_sizes": (9,), "max_iter": 4, "random_state": 0, "batch_size": 100}
    there = place.asarray(X)
    model, host = estimator(**options).fit(there, place.asarray(y)), estimator(**options).fit(X, y)
    assert type(model.coefs_[0]) is type(there)
    predicted = model.predict(there)
    assert type(predicted) is type(there)
    np.testing.assert_allclose(place.to_host(predicted), host.predict(X), rtol=1e-6)
    assert isinstance(model.predict(X), np.ndarray)
    assert model.score(there, y) == pytest.approx(host.score(X, y))
    with pytest.raises(ValueError, match=f"X has {X.shape[1] - 1} features, but {estimator.__name__} is expecting"):
        model.predict(there[:, :-1])
    for wrong, text in (
        (np.full((4, 2), np.nan), "Input X contains NaN or infinity."),
        (np.ones((4, 2, 1)), r"expected X of shape \(n_samples, n_features\). Received: X.shape=\(4, 2, 1\)."),
        (np.ones((4, 2), "complex128"), r"expected real numbers in X. Received: X with dtype="),
    ):
        with pytest.raises(ValueError, match=text):
            model.fit(place.asarray(wrong), y[:4])
    with pytest.raises(ValueError, match=f"This {estimator.__name__} estimator requires y to be passed."):
        model.fit(there, None)


@pytest.mark.parametrize("place", ELSEWHERE, indirect=True)
def test_an_array_that_numpy_cannot_read_has_no_names(place, cancer):
    """After a fit with names, another fit forgets them; a prediction does not ask for them."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = cancer[0][:, :2], cancer[1]
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(pandas.DataFrame(X, columns=["a", "b"]), y)
    model.predict(place.asarray(X))
    assert list(model.feature_names_in_) == ["a", "b"]
    assert not hasattr(model.fit(place.asarray(X), y), "feature_names_in_")
    assert model.n_features_in_ == 2


@pytest.mark.gpu
@pytest.mark.parametrize("estimator", THEIRS)
def test_a_model_moved_to_a_gpu_takes_arrays_there(estimator, cancer, diabetes):
    import cupy

    X, y = data_of(estimator, cancer, diabetes)
    host = estimator(hidden_layer_sizes=(9,), max_iter=4, random_state=0).fit(X, y)
    moved = host.to_device("cuda")
    assert isinstance(moved.coefs_[0], cupy.ndarray)
    predicted = moved.predict(cupy.asarray(X))
    assert isinstance(predicted, cupy.ndarray)
    np.testing.assert_allclose(cupy.asnumpy(predicted), host.predict(X), rtol=1e-6)


def test_to_device_is_a_copy(cancer):
    X, y = cancer
    model = MLPClassifier((9,), max_iter=3, random_state=0).fit(X, y)
    moved = model.to_device("cpu")
    moved.partial_fit(X, y)
    assert not np.array_equal(moved.coefs_[0], model.coefs_[0])
    assert (model.device, moved.device) == (None, "cpu")


# --- errors and warnings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be > 0, got [0]."),
        ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes expects integers. Received: 2.5."),
        ({"activation": "rulu"}, "Did you mean 'relu'?"),
        ({"activation": ["relu", "tanh"]}, "one entry for each of 1 hidden layers. Received: 2."),
        ({"activation": 3}, "Received: activation=3."),
        ({"solver": "newton"}, "solver expects one of adam, lbfgs, sgd. Received: solver='newton'."),
        ({"alpha": -1.0}, "alpha expects a finite number of at least 0. Received: alpha=-1.0."),
        ({"batch_size": 0}, "batch_size expects an integer of at least 1. Received: batch_size=0."),
        ({"learning_rate": "fast"}, "Received: learning_rate='fast'."),
        ({"learning_rate_init": 0.0}, "learning_rate_init expects a finite number above 0."),
        ({"max_iter": 0}, "max_iter expects an integer of at least 1."),
        ({"shuffle": "yes"}, "shuffle expects True or False. Received: shuffle='yes'."),
        ({"momentum": 1.5}, "momentum expects a number in [0, 1]. Received: momentum=1.5."),
        ({"validation_fraction": 1.0}, "validation_fraction expects a number in [0, 1)."),
        ({"n_iter_no_change": 0.5}, "n_iter_no_change expects an integer. Received: n_iter_no_change=0.5."),
        ({"verbose": -1}, "verbose expects an integer of at least 0."),
        ({"dropout": 1.0}, "dropout expects a number in [0, 1). Received: dropout=1.0."),
        ({"dropout": [0.1, 0.1]}, "dropout expects one rate, or one for each of 1 hidden layers. Received: 2."),
        ({"dropout": 0.1, "solver": "lbfgs"}, "lbfgs expects a loss that is the same at each evaluation."),
        ({"class_weight": "even"}, "class_weight expects None, 'balanced' or a mapping of labels."),
        ({"validation_data": 3}, "validation_data expects (X, y) or (X, y, sample_weight)."),
        ({"on_epoch": 3}, "on_epoch expects a function of the estimator and the epoch. Received: on_epoch=3."),
        ({"gradient_clip": 0}, "gradient_clip expects a finite number above 0."),
        ({"dtype": "float16"}, "dtype expects one of float32, float64."),
        ({"device": "gpu"}, 'device expects "cpu", "cuda", "cuda:N" or "auto". Received: device=\'gpu\'.'),
    ],
)
def test_wrong_parameters(options, text, wine):
    with pytest.raises(ValueError) as caught:
        MLPClassifier(**options).fit(*wine)
    assert text in str(caught.value)


def test_wrong_losses(diabetes):
    for loss, text in ((mn.CrossEntropy(), "Use MLPClassifier"), ("hubert", "Did you mean 'huber'?")):
        with pytest.raises(ValueError) as caught:
            MLPRegressor(loss).fit(*diabetes)
        assert text in str(caught.value)
    with pytest.raises(ValueError, match="poisson expects y of at least 0"):
        MLPRegressor("poisson").fit(*diabetes)


def test_wrong_data(wine):
    X, y = wine
    for args, text in [
        ((X, y, -np.ones(len(y))), "expected sample_weight of at least 0. Received: sample_weight[0]=-1."),
        ((X, y, np.zeros(len(y))), "Sample weights must contain at least one non-zero number."),
        ((X, y, np.ones((len(y), 2))), "Sample weights must be 1D array or scalar."),
        ((X, np.stack([y, y], axis=1)), "Multioutput target data is not supported"),
        ((X, X[:, 0]), "Unknown label type"),
    ]:
        with pytest.raises(ValueError) as caught:
            MLPClassifier().fit(*args)
        assert text in str(caught.value)
    model = MLPClassifier((4,), max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="classes not in `self.classes_`"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="partial_fit expects the classes of the first call"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="warm_start and partial_fit expect the layers of the last fit"):
        model.set_params(hidden_layer_sizes=(5,)).partial_fit(X, y)
    with pytest.raises(ValueError, match="class_weight='balanced' expects all data at once"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes not in `self.classes_`"):
        MLPClassifier(validation_data=(X, y + 1)).fit(X, y)


def test_warnings_are_scikit_learns(cancer):
    X, y = cancer
    with pytest.warns(ConvergenceWarning, match=r"Stochastic Optimizer: Maximum iterations \(2\) reached"):
        MLPClassifier((4,), max_iter=2).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 2 iteration"):
        MLPClassifier((4,), max_iter=2, solver="lbfgs").fit(X, y)
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        MLPClassifier((4,), max_iter=2).fit(X, y[:, None])
    with pytest.warns(UserWarning, match="Got `batch_size` less than 1 or larger than sample size"):
        MLPClassifier((4,), max_iter=2, batch_size=10_000).fit(X, y)


def test_divergence(diabetes):
    X, y = diabetes
    options = {"hidden_layer_sizes": (9,), "activation": "identity", "solver": "sgd", "learning_rate_init": 50.0}
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights") as caught:
        MLPRegressor(**options).fit(X, y)
    assert isinstance(caught.value.__cause__, mn.DivergenceError)
    with pytest.warns(ConvergenceWarning, match="The best epoch's parameters are kept"):
        model = MLPRegressor(early_stopping=True, **options).fit(X, y)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(X)).all()


def test_an_interrupt_keeps_what_was_learned(cancer):
    def interrupt(estimator, epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = MLPClassifier((4,), on_epoch=interrupt, random_state=0).fit(*cancer)
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert model.loss_ < model.loss_curve_[0]
