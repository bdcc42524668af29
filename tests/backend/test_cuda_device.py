"""The whole library on a CUDA device: what comes in and goes out, which device is current, what fits."""

import copy

import numpy as np
import pytest

import mechanet as mn

pytestmark = pytest.mark.gpu


@pytest.fixture
def cp():
    return pytest.importorskip("cupy")


def network(device="cuda", **options):
    chain = [mn.Dense(7), mn.Tanh(), mn.Dense(3)]
    return mn.Network(chain, input_shape=(4,), device=device, seed=1, **options)


@pytest.fixture
def data(rng):
    return rng.normal(size=(60, 4)).astype("float32"), rng.integers(0, 3, 60)


class Foreign:
    """An array of a library we do not know: it speaks one protocol and nothing else."""

    def __init__(self, array, protocol):
        self._array = array
        if protocol == "dlpack":
            self.__class__ = type("Dlpack", (Foreign,), {
                "__dlpack__": lambda self, **kwargs: array.__dlpack__(**kwargs),
                "__dlpack_device__": lambda self: array.__dlpack_device__(),
            })  # fmt: skip
        else:
            self.__cuda_array_interface__ = array.__cuda_array_interface__


@pytest.fixture
def host_trips(emulator):
    """Copies over the host since, by the emulated driver."""

    def count():
        counts = emulator.counts()
        return counts["d2h"] + counts["h2d"]

    emulator.reset()
    return count


@pytest.mark.parametrize("door", ["forward", "predict", "predict_proba"])
@pytest.mark.parametrize("kind", ["cupy", "dlpack", "interface"])
def test_device_arrays_pass_without_a_trip_over_the_host(cp, data, host_trips, door, kind):
    net = network()
    x = cp.asarray(data[0])
    given = x if kind == "cupy" else Foreign(x, kind)
    getattr(net, door)(given)  # kernels are compiled
    before = host_trips()
    result = getattr(net, door)(given)
    assert host_trips() == before
    assert isinstance(result, cp.ndarray)
    expected = getattr(network("cpu"), door)(data[0])
    np.testing.assert_allclose(result.get(), expected, rtol=1e-4, atol=1e-6)


def test_host_arrays_give_host_arrays(data):
    net = network()
    for x in (data[0], data[0].tolist()):
        assert isinstance(net.predict(x), np.ndarray)
        assert isinstance(net.forward(x), np.ndarray)


def test_a_network_on_the_cpu_takes_arrays_of_the_device(cp, data):
    net = network("cpu")
    result = net.predict_proba(cp.asarray(data[0]))
    assert isinstance(result, cp.ndarray)
    np.testing.assert_allclose(result.get(), net.predict_proba(data[0]), rtol=1e-5)


def test_training_from_device_arrays(cp, data):
    losses = []
    for x, y in (data, map(cp.asarray, data)):
        training = mn.Training(network(), x, y, batch_size=16, seed=3)
        losses.append([epoch.loss for epoch in training.epochs(3)])
    assert losses[0] == losses[1]


def test_the_same_numbers_as_on_the_cpu(data):
    histories = []
    for device in ("cpu", "cuda"):
        net = network(device)
        training = mn.Training(net, *data, optimizer=mn.Adam(0.01), batch_size=16, schedule="cosine", seed=5,
                               gradient_clip=1.0, validation=data, early_stopping=10)  # fmt: skip
        histories.append([(e.loss, e.accuracy, e.validation_loss) for e in training.epochs(5)])
    np.testing.assert_allclose(*histories, rtol=1e-4)


def test_copies_and_files_keep_the_numbers(cp, data, tmp_path):
    net = network()
    net.save(tmp_path / "net.safetensors")
    loaded = mn.Network.load(tmp_path / "net.safetensors", device="cuda")
    there = net.to("cpu")
    for twin in (loaded, there.to("cuda"), there, copy.deepcopy(net)):
        np.testing.assert_array_equal(twin.backend.to_host(twin.parameters), net.parameters.get())
    assert isinstance(loaded.parameters, cp.ndarray)
    assert isinstance(there.parameters, np.ndarray)


def second_device(cp):
    if cp.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two devices")


def test_the_right_device_is_current_at_every_door_and_given_back(cp, data, tmp_path):
    second_device(cp)
    assert cp.cuda.runtime.getDevice() == 0
    x, y = data
    net = network("cuda:1")
    assert net.device == "cuda:1"
    assert net.parameters.device.id == 1
    results = [
        net.forward(x),
        net.predict(x),
        net.predict_proba(x),
        net.evaluate(x, y),
        net.loss_and_gradient(x, y),
    ]
    assert results[0].shape == (60, 3)
    for _ in mn.Training(net, x, y, validation=data, gradient_clip=1.0, early_stopping=2).epochs(2):
        assert cp.cuda.runtime.getDevice() == 0
    net.save(tmp_path / "net.safetensors")
    assert mn.Network.load(tmp_path / "net.safetensors", device="cuda:1").parameters.device.id == 1
    assert net.to("cuda:0").parameters.device.id == 0
    assert net.to("cpu").to("cuda:1").parameters.device.id == 1
    assert bool(mn.check_gradients(net, x[:5], y[:5]))
    assert cp.cuda.runtime.getDevice() == 0


def test_the_device_is_given_back_after_an_error(cp):
    second_device(cp)
    net = network("cuda:1")
    with pytest.raises(ValueError, match="expected x of shape"):
        net.predict(np.zeros((2, 5)))
    assert cp.cuda.runtime.getDevice() == 0


def test_arrays_of_another_device(cp, data):
    """In comes what lies on cuda:0, out goes the result there, although the network is on cuda:1."""
    second_device(cp)
    net = network("cuda:1")
    x = cp.asarray(data[0])
    result = net.predict_proba(x)
    assert result.device.id == 0
    np.testing.assert_allclose(result.get(), net.predict_proba(data[0]), rtol=1e-6)


def test_several_networks_on_one_device_do_not_disturb_each_other(data):
    alone = [epoch.loss for epoch in mn.Training(network(), *data, seed=1).epochs(2)]
    first, second = (mn.Training(network(), *data, seed=1).epochs(2) for _ in range(2))
    turns = [(a.loss, b.loss) for a, b in zip(first, second, strict=True)]
    assert turns == [(loss, loss) for loss in alone]


def test_predictions_come_in_batches_that_fit(cp, rng, monkeypatch):
    net = network()
    x = rng.normal(size=(5000, 4)).astype("float32")
    whole = net.predict_proba(x)
    net.chain.block_rows = 512
    np.testing.assert_allclose(net.predict_proba(x), whole, rtol=1e-6)
    np.testing.assert_allclose(net.predict_proba(cp.asarray(x)).get(), whole, rtol=1e-6)


def test_memory_that_runs_out_is_explained(cp, data):
    pool = cp.cuda.MemoryPool()
    pool.set_limit(size=2_000_000)
    x = np.zeros((2000, 4), "float32")
    chain = [mn.Dense(3000), mn.ReLU(), mn.Dense(3)]
    with cp.cuda.using_allocator(pool.malloc):
        net = mn.Network(chain, input_shape=(4,), device="cuda")
        training = mn.Training(net, x, np.zeros(2000, int), batch_size=1000, optimizer="sgd")
        with pytest.raises(mn.DeviceError) as caught:
            list(training.epochs(1))
    text = str(caught.value)
    assert isinstance(caught.value, MemoryError)
    assert type(caught.value.__cause__).__name__ == "OutOfMemoryError"
    assert "cuda:0 does not have enough memory for batch_size=1000" in text
    assert "12,000,256 more bytes were needed" in text
    assert "Try a smaller batch_size" in text


def test_devices_are_described(cp):
    found = {device.name: device for device in mn.devices()}
    assert found["cuda:0"].usable
    assert f"CuPy {cp.__version__} for CUDA" in found["cuda:0"].description
    assert "compute capability" in found["cuda:0"].description
    assert found["cuda:0"].memory_bytes > 0
