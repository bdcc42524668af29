"""Memory that runs out, a GPU that is lost, a training that diverges: said clearly, and the last good checkpoint stays."""

import contextlib

import numpy as np
import pytest

import mechanet as mn
import mechanet.backend
from mechanet.backend import NumpyBackend, cuda_errors
from mechanet.training.checkpoints import Checkpoints, resume


def network(device="cpu"):
    return mn.Network([mn.Dense(16), mn.ReLU(), mn.Dense(3)], (8,), device=device, seed=1)


def data(rows=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 8)).astype("float32"), rng.integers(0, 3, rows)


class Narrow(NumpyBackend):
    """A host whose memory holds no product of more than `rows` rows, and says so as NumPy does."""

    def __init__(self, rows):
        super().__init__(np, "cpu", "cpu")
        self.rows, self.asked = rows, []

    def asarray(self, x, dtype=None):
        x = super().asarray(x, dtype)
        if x.ndim == 2:
            self.asked.append(x.shape[0])
            if x.shape[0] > self.rows:
                np.empty((2**50, x.shape[0]), "float32")  # numpy's own error, with shape and dtype
        return x


def narrowed(rows):
    net = network()
    net.chain.backend = Narrow(rows)
    return net


def test_predictions_retry_in_smaller_batches():
    x, y = data(100)
    net = narrowed(30)
    assert (
        net.forward(x).tobytes()
        == np.concatenate([network().forward(x[i : i + 25]) for i in range(0, 100, 25)]).tobytes()
    )
    assert net.backend.asked == [100, 50, 25, 25, 25, 25]
    np.testing.assert_array_equal(net.predict(x), network().predict(x))
    assert net.evaluate(x, y) == pytest.approx(network().evaluate(x, y))


def test_where_one_row_does_not_fit_the_error_says_what_and_what_to_try():
    net = narrowed(0)
    with pytest.raises(MemoryError) as caught:
        net.predict(data()[0])
    assert str(caught.value) == (
        f"this machine does not have enough memory for blocks of {net.chain.block_rows} rows. "
        f"{2**50 * 4:,} more bytes were needed. Try a smaller batch_size, data as uint8 or float32, "
        'dtype="float32", or a smaller network.'
    )
    assert "Unable to allocate" in str(caught.value.__cause__)


class Failing(NumpyBackend):
    """A host on which the product after the next `good` ones fails, explained as CUDA's errors are."""

    def __init__(self, good, error):
        super().__init__(np, "cpu", "cpu")
        self.good, self.error = good, error

    def current(self, work=""):
        return super().current(work) if type(self.error) is MemoryError else explaining(work)

    def matmul(self, A, B, out):
        self.good -= 1
        if self.good < 0:
            raise self.error
        super().matmul(A, B, out)


@contextlib.contextmanager
def explaining(work):
    try:
        yield
    except Exception as error:
        explained = cuda_errors.explain(error, "cuda:0", lambda: 123, work)
        if explained is not None:
            raise explained from error
        raise


def cuda_error(name, text):
    return type(name, (MemoryError if name == "OutOfMemoryError" else RuntimeError,), {})(text)


def failing_training(directory, good, error):
    x, y = data()
    net = network(Failing(good, error))
    run = mn.Training(net, x, y, optimizer="adam", batch_size=10, seed=2)
    said = []
    return Checkpoints(run, directory, "1epoch", notify=said.append), said


FAILURES = {
    "lost": (
        cuda_error("CUDARuntimeError", "cudaErrorIllegalAddress: an illegal memory access was encountered"),
        mn.DeviceError,
        "cuda:0 stopped working (batch_size=10), and what its memory held is lost. CUDA says: cudaErrorIllegal",
    ),
    "device memory": (
        cuda_error("OutOfMemoryError", "Out of memory allocating 5,120 bytes (allocated so far: 0 bytes)."),
        MemoryError,
        "cuda:0 does not have enough memory for batch_size=10: 5,120 more bytes were needed, 123 bytes are free",
    ),
    "host memory": (
        MemoryError(),
        MemoryError,
        "this machine does not have enough memory for batch_size=10. Try a smaller batch_size",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_device_leaves_a_checkpoint_from_which_another_goes_on(tmp_path, failure):
    error, kind, text = FAILURES[failure]
    run, said = failing_training(tmp_path, 2 * 4 * 3 + 3, error)  # 2 products a step, 4 steps an epoch
    with pytest.raises(kind) as caught:
        list(run.epochs(6))
    assert text in str(caught.value)
    assert said == [f"The last good checkpoint is {tmp_path / 'checkpoint-000000000012.safetensors'}."]
    x, y = data()
    again = resume(tmp_path, x, y, notify=said.append)
    list(again.epochs())
    whole = mn.Training(network(), x, y, optimizer="adam", batch_size=10, seed=2)
    list(whole.epochs(6))
    assert again.network.parameters.tobytes() == whole.network.parameters.tobytes()


def test_memory_that_runs_out_in_a_step_leaves_the_parameters_of_the_step_before():
    x, y = data()
    net = network(Failing(5, MemoryError()))
    run = mn.Training(net, x, y, batch_size=10)
    with pytest.raises(MemoryError):
        list(run.epochs(3))
    steps = mn.Training(network(), x, y, batch_size=10)
    list(steps.epochs(3, lambda t: t.stop() if t.global_step == 2 else None))
    assert run.global_step == 2
    assert net.parameters.tobytes() == steps.network.parameters.tobytes()


def test_the_numbers_of_a_divergence_are_its_own():
    x, y = data()
    net = network()
    run = mn.Training(net, x, y, optimizer=mn.SGD(1e-2), batch_size=10)
    list(run.epochs(2))
    good = net.parameters.copy()
    bad = mn.Training(net, 1e18 * x, y, optimizer=mn.SGD(1e20), batch_size=10)
    with pytest.raises(mn.DivergenceError) as caught:
        list(bad.epochs(5))
    error = caught.value
    assert (error.epoch, error.learning_rate) == (1, 1e20)
    assert str(error).startswith("the training diverged in epoch 1: the loss or the parameters are not finite")
    assert "learning rate 1e+20" in str(error)
    assert "Try a lower learning rate, gradient_clip=1.0, or data scaled to [-1, 1]." in str(error)
    assert net.parameters.tobytes() == good.tobytes()
