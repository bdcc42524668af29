"""What a file says is read back as what was saved, or refused at save: classes of one's own, and their options."""

import copy
import json
import math
import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import mechanet as mn
from mechanet.initializers import Initializer, initializer_from
from mechanet.layers import layer_from_config
from mechanet.losses import loss_from_config
from mechanet.optimizers import optimizer_from
from mechanet.schedules import Schedule, WarmUp, schedule_from
from mechanet.training.checkpoints import Checkpoints


@dataclass
class OwnShift(mn.Layer):
    """A = X + by."""

    by: float = 1.0

    def forward(self, X, training=None):
        return X + self.by, None

    def backward(self, dA, cache, input_gradient=True):
        return dA


@dataclass(frozen=True)
class OwnQuartic(mn.Loss):
    """L = Σ_i c_i Σ_k ¼ (Z - T)⁴."""

    name: ClassVar[str] = "own_quartic"
    scale: float = 1.0

    def check_targets(self, y, outputs):
        return y.reshape(-1, outputs), None

    def __call__(self, xp, Z, T, c):
        D = Z - T
        return 0.25 * self.scale * xp.vecdot(c, xp.sum(D**4, axis=1)), self.scale * c[:, None] * D**3


@dataclass(frozen=True)
class OwnSignDescent(mn.Optimizer):
    """θ ← θ - α sign(dθ)."""

    learning_rate: float = 0.1

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        theta -= alpha * xp.sign(gradient)


@dataclass(frozen=True)
class OwnHalf(Schedule):
    """then(progress) / 2."""

    then: Schedule | None = None

    def __call__(self, progress):
        return 0.5 * (self.then(progress) if self.then else 1.0)


@dataclass(frozen=True)
class OwnOnes(Initializer):
    """OwnOnes, times a size."""

    size: float = 1.0

    def __call__(self, rng, shape, n_in, n_out):
        return np.full(shape, self.size)


class MeanLoss(mn.SquaredError):
    """A subclass computes something else than its base class, of which it inherits the name."""

    def __call__(self, xp, Z, T, c):
        value, dZ = super().__call__(xp, Z, T, c)
        return value / Z.shape[1], dZ / Z.shape[1]


OWN = [OwnShift, OwnQuartic, OwnSignDescent, OwnHalf, OwnOnes]


@pytest.fixture
def registered():
    for kind in OWN:
        assert mn.register(kind) is kind


def network(loss="squared_error"):
    return mn.Network([OwnShift(0.25), mn.Dense(2, OwnOnes(0.5))], (3,), loss, "float64")


X, Y = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]]), np.array([[1.0, 0.0], [0.0, 2.0]])


# --- without registration -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: mn.Network([OwnShift(), mn.Dense(2)], (3,)).save, "layer test_registry.OwnShift"),
        (lambda: mn.Network([mn.Dense(2, OwnOnes())], (3,)).save, "initializer test_registry.OwnOnes"),
        (lambda: mn.Network([mn.Dense(2)], (3,), OwnQuartic()).save, "loss test_registry.OwnQuartic"),
        (lambda: mn.Network([mn.Dense(2)], (3,), MeanLoss()).save, "loss test_registry.MeanLoss"),
        (lambda: training(optimizer=OwnSignDescent()).save, "optimizer test_registry.OwnSignDescent"),
        (lambda: training(optimizer="sgd", schedule=WarmUp(0.1, OwnHalf())).save, "schedule test_registry.OwnHalf"),
    ],
)
def test_what_could_not_be_read_back_is_refused_at_save(make, received, tmp_path):
    with pytest.raises(ValueError) as caught:
        make()(tmp_path / "file")
    assert str(caught.value) == (
        f"a file holds names and options, never code, and expects classes that it can name. Received: {received}, "
        "which is not registered. Put @mechanet.register above the class, here and where the file is loaded; or keep "
        "net.parameters yourself."
    )
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_refuse_it_before_the_training_begins(tmp_path):
    with pytest.raises(ValueError, match="OwnSignDescent, which is not registered"):
        Checkpoints(training(), tmp_path)


def training(net=None, **options):
    options = {"optimizer": OwnSignDescent(), "schedule": OwnHalf(), "batch_size": 1, "seed": 3} | options
    return mn.Training(net or mn.Network([mn.Dense(2)], (3,), "squared_error", "float64"), X, Y, **options)


def test_everything_but_saving_works():
    """One step of θ ← θ - ½ 0.1 sign(dθ) moves each parameter by 0.05."""
    net = network(OwnQuartic(2.0))
    before = net.parameters.copy()
    list(training(net, batch_size=None).epochs(1))
    np.testing.assert_allclose(np.abs(net.parameters - before), 0.05, rtol=1e-12)
    for same in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), net.to("cpu")):
        assert same.loss == OwnQuartic(2.0)
        assert same.chain.specification == (OwnShift(0.25), mn.Dense(2, OwnOnes(0.5)))
        np.testing.assert_array_equal(same.predict(X), net.predict(X))
    assert mn.check_gradients(net, X, Y)
    told = mn.explain(net, X, Y, OwnSignDescent())
    assert told.passed
    assert "OwnShift(0.25)" in str(told)


# --- with it -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("registered")
def test_what_is_registered_is_read_back(tmp_path):
    net = network(OwnQuartic(3.0))
    run = training(net, optimizer=OwnSignDescent(0.2), schedule=WarmUp(0.5, OwnHalf(mn.schedules.Cosine(0.1))))
    run.planned = 4
    list(run.epochs(2))
    run.planned = 4
    net.save(tmp_path / "net")
    run.save(tmp_path / "run")
    loaded = mn.Network.load(tmp_path / "net")
    assert loaded.chain.specification == net.chain.specification
    assert loaded.loss == net.loss
    np.testing.assert_array_equal(loaded.predict(X), net.predict(X))
    resumed = mn.Training.resume(tmp_path / "run", X, Y)
    assert (resumed.optimizer, resumed.schedule) == (run.optimizer, run.schedule)
    for one in (run, resumed):
        list(one.epochs(2))
    np.testing.assert_array_equal(resumed.network.parameters, net.parameters)


SCRIPT = """
import sys, test_registry, mechanet as mn
if sys.argv[2:]: mn.register(test_registry.OwnShift), mn.register(test_registry.OwnOnes)
net = mn.Network.load(sys.argv[1])
print(net.layers[0].by, net.layers[1].W[0, 0])
"""


@pytest.mark.usefixtures("registered")
def test_another_process_registers_first_or_is_told_to(tmp_path):
    network().save(tmp_path / "net")

    def run(*arguments):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "net"), *arguments]
        return subprocess.run(command, env={"PYTHONPATH": ":".join(filter(None, sys.path))}, capture_output=True, text=True)

    assert run("register").stdout == "0.25 0.5\n"
    assert run().stderr.rstrip().endswith(
        "Received: layer='OwnShift'. A class of your own is defined, with @mechanet.register above it, before it is loaded."
    )


@pytest.mark.parametrize(
    ("read", "plain"),
    [
        (layer_from_config, {"layer": "OwnShift"}), (loss_from_config, {"name": "own_quartic"}),
        (optimizer_from, {"name": "OwnSignDescent"}), (schedule_from, {"name": "OwnHalf"}), (initializer_from, {"name": "OwnOnes"}),
    ],
)  # fmt: skip
def test_a_name_that_nobody_registered_says_what_to_do(read, plain):
    with pytest.raises(ValueError) as caught:
        read(plain)
    assert str(caught.value).endswith("A class of your own is defined, with @mechanet.register above it, before it is loaded.")
    for kind in OWN:
        mn.register(kind)
    assert type(read(plain)) in OWN


def test_a_class_that_is_defined_again_takes_the_place_of_the_one_before():
    def cell(by):
        @mn.register
        @dataclass
        class Again(OwnShift):
            by: float = 0.0

            def forward(self, X, training=None):
                return X + by, None

        return Again

    first, second = cell(1.0), cell(2.0)
    assert type(layer_from_config({"layer": "Again"})) is second
    with pytest.raises(ValueError, match="Again, which is not registered"):
        first().config()


def other(name, base=OwnShift):
    return dataclass(frozen=base is not OwnShift)(type(name, (base,), {"__module__": "elsewhere"}))


TAKEN = "register expects a {} with a name that no other has. Received: {} with the name {}. Give it another."
PLAIN = "register expects a dataclass, made from its fields and nothing else. Received: {}. Put @dataclass between @register and the class."
KINDS = "register expects a class derived from Layer, Loss, Optimizer, Schedule or Initializer. Received: {}."


@pytest.mark.parametrize(
    ("cls", "error", "text"),
    [
        (other("Dense"), ValueError, TAKEN.format(
            "layer", "elsewhere.Dense", "'Dense', which is that of mechanet.layers.dense.Dense")),
        (MeanLoss, ValueError, TAKEN.format(
            "loss", "test_registry.MeanLoss", "'squared_error', which is that of mechanet.losses.regression.SquaredError")),
        (other("Nameless", mn.Loss), ValueError, TAKEN.format("loss", "elsewhere.Nameless", "''")),
        (type("Bare", (mn.Layer,), {}), TypeError, PLAIN.format("Bare()")),
        (type("Made", (OwnShift,), {"__init__": lambda self, q: None}), TypeError, PLAIN.format("Made(q)")),
        (OwnShift(), TypeError, KINDS.format("OwnShift(by=1.0)")),
        (int, TypeError, KINDS.format("<class 'int'>")),
        (len, TypeError, KINDS.format("<built-in function len>")),
    ],
    ids=repr,
)  # fmt: skip
def test_what_cannot_be_registered(cls, error, text):
    with pytest.raises(error) as caught:
        mn.register(cls)
    assert str(caught.value) == text


def test_a_name_is_taken_within_its_family_only():
    @mn.register
    @dataclass(frozen=True)
    class Cosine(Initializer):
        def __call__(self, rng, shape, n_in, n_out):
            return np.zeros(shape)

    assert type(initializer_from({"name": "Cosine"})) is Cosine
    assert type(schedule_from({"name": "Cosine"})) is mn.schedules.Cosine


# --- options -------------------------------------------------------------------------------------------------------


@dataclass
class Options(mn.Layer):
    """With options of any kind."""

    one: Any = None
    inner: Any = ()


@pytest.mark.parametrize(
    ("value", "plain"),
    [(3, 3), (0.1, 0.1), (True, True), (None, None), ("a", "a"), ([1, [2.5]], [1, [2.5]]), ({"a": 1}, {"a": 1}),
     ((1, 2), [1, 2]), (np.float32(0.1), 0.10000000149011612), (np.int64(4), 4), (np.bool_(True), True),
     (np.array(2.0), 2.0)],
)  # fmt: skip
def test_options_that_files_hold(value, plain, registered_options):
    config = Options(value).config()
    assert config == {"layer": "Options", "one": plain, "inner": []}
    assert layer_from_config(json.loads(json.dumps(config))).one == plain


@pytest.fixture
def registered_options():
    mn.register(Options)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (len, "Received: layer Options(one=<built-in function len>, inner=()): Object of type builtin_function_or_method is not JSON serializable. Turn such options into plain ones in its to_plain, and back in its from_plain."),
        (np.zeros(2), "Object of type ndarray is not JSON serializable"),
        ({0: 1.0}, "Received: layer Options(one={0: 1.0}, inner=()): they would be read back as others."),
        (math.nan, "they would be read back as others."),
        ({1, 2}, "Object of type set is not JSON serializable"),
        (mn.SGD(), "they would be read back as others."),  # as a dictionary
    ],
)  # fmt: skip
def test_options_that_would_be_read_back_as_others_are_refused(value, text, registered_options):
    with pytest.raises(ValueError) as caught:
        Options(value).config()
    assert text in str(caught.value)


def test_a_layer_of_layers_is_read_back(registered_options):
    layer = Options(mn.Dense(3, mn.initializers.Uniform(-1, 1)), [mn.ReLU(), Options(mn.ELU(0.5))])
    read = layer_from_config(json.loads(json.dumps(layer.config())))
    assert read == Options(mn.Dense(3, mn.initializers.Uniform(-1, 1)), [mn.ReLU(), Options(mn.ELU(0.5), [])])
    with pytest.raises(ValueError, match="OwnShift, which is not registered"):
        Options(inner=[OwnShift()]).config()


def test_a_class_may_turn_its_options_into_plain_data():
    @mn.register
    @dataclass
    class Table(mn.Layer):
        values: Any

        def to_plain(self):
            return {"values": self.values.tolist()}

        @classmethod
        def from_plain(cls, options):
            return cls(np.asarray(options["values"]))

    read = layer_from_config(Table(np.array([1.0, 2.0])).config())
    np.testing.assert_array_equal(read.values, [1.0, 2.0])


def test_options_hundreds_deep_are_refused():
    """A file may say anything: no depth of it ends in a RecursionError."""
    config: dict = {"name": "Constant"}
    for _ in range(900):
        config = {"name": "WarmUp", "then": config}
    with pytest.raises(ValueError, match="schedule expects options within options, but not hundreds deep."):
        schedule_from(config)


@pytest.mark.parametrize("shape", [[], [7]])
def test_flatten_of_a_file_of_version_1_is_read(shape):
    assert layer_from_config({"layer": "Flatten", "shape": shape}) == mn.Flatten()


def test_flatten_has_no_options():
    assert mn.Flatten().config() == {"layer": "Flatten"}
    with pytest.raises(TypeError):
        mn.Flatten(7)
    with pytest.raises(TypeError):
        mn.Flatten(shape=(7,))
