"""The emulator itself, on real CuPy; what ends a process, or is chosen as it starts, has a process of its own."""

import importlib.metadata
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cpucuda
import numpy as np
import pytest

TESTS = Path(__file__).parent
here = cpucuda.unavailable()
emulated = pytest.mark.skipif(here is not None, reason=here or "")


@pytest.fixture
def cp(emulator):
    return pytest.importorskip("cupy")


def kernel(cp, signature, body):
    """A kernel of one's own, called with grid, block and arguments."""
    name = signature.partition("(")[0]
    return cp.RawKernel(f'extern "C" __global__ void {signature} {{ {body} }}', name)


def run(script, install="", before="", **environment):
    """The finished process of `script`, with CuPy emulated before it, and with what this file defines."""
    head = f"import cpucuda; {before}\nfrom test_cpucuda import *\ncpucuda.install({install})\nimport cupy as cp\n"
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", head + script],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


OPERATIONS = {
    "product": lambda m, x: x @ m.ones((5, 3), "f4"),
    "product of the transposed": lambda m, x: x.T @ x,
    "products in a stack": lambda m, x: m.stack([x, x]) @ x.T,
    "reduction": lambda m, x: m.sum(x, axis=0),
    "views and a broadcast": lambda m, x: x[::2, 1:] + x[:1, :-1],
    "promotion": lambda m, x: x + np.float64(1),
    "greatest": lambda m, x: m.argmax(x, axis=1),
    "rows": lambda m, x: m.take(x, m.asarray([6, 0, 6]), axis=0),
    "sorting": lambda m, x: m.sort(x, axis=1),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_basic_operations_agree_with_numpy(cp, name):
    a = np.random.default_rng(0).normal(size=(7, 5)).astype("f4")
    got, want = OPERATIONS[name](cp, cp.asarray(a)).get(), OPERATIONS[name](np, a)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def multiply(cp):
    rng = np.random.default_rng(1)
    for dtype, tolerance in (("f4", 1e-4), ("f8", 1e-12)):
        a, b = rng.normal(size=(31, 33)).astype(dtype), rng.normal(size=(33, 17)).astype(dtype)
        want = np.einsum("ij,jk->ik", a.astype("f8"), b.astype("f8"))
        for x, y in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
            np.testing.assert_allclose((cp.asarray(x) @ cp.asarray(y)).get(), want, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
def test_products_by_scipys_blas_agree_with_float64_sums(cp):
    multiply(cp)


@emulated
def test_products_in_a_plain_loop_agree_with_float64_sums():
    without_scipy = "import cpucuda.libraries; cpucuda.libraries.give_blas = lambda cublas: None"
    done = run("multiply(cp); print('equal')", before=without_scipy)
    assert done.stdout == "equal\n", done.stderr


def reverse(cp, barrier):
    """Whether 64 numbers come out in reverse, each written by one thread and read by another."""
    x = cp.arange(64, dtype="f4")
    kernel(cp, "reverse(float* x)", f"""
        __shared__ float t[64];
        int i = threadIdx.x;
        t[i] = x[i];
        {barrier}
        x[i] = t[63 - i];
    """)((1,), (64,), (x,))  # fmt: skip
    return bool((x.get() == np.arange(64)[::-1]).all())


@pytest.mark.gpu
def test_a_barrier_is_waited_at_and_a_missing_one_changes_values(cp):
    assert reverse(cp, "__syncthreads();")
    assert not reverse(cp, "")


@emulated
def test_a_barrier_that_not_all_threads_reach_ends_the_process():
    done = run("reverse(cp, 'if (i < 40) __syncthreads(); else __syncwarp(); __syncthreads();')")
    assert done.returncode != 0
    assert "barrier deadlock" in done.stderr


@pytest.mark.gpu
def test_shuffles_exchange_within_a_warp(cp):
    # Butterfly sum over 32 lanes of 0..63: 0+...+31 = 496 in the first warp, 32+...+63 = 1520 in the second;
    # then the first lane of a warp to all, and each lane's upper neighbour (the last keeps its own).
    sums = kernel(cp, "sums(const float* x, float* y)", """
        float v = x[threadIdx.x], s = v;
        for (int m = 16; m; m >>= 1) s += __shfl_xor_sync(0xffffffff, s, m);
        y[threadIdx.x] = s;
        y[threadIdx.x + 64] = __shfl_sync(0xffffffff, v, 0);
        y[threadIdx.x + 128] = __shfl_down_sync(0xffffffff, v, 1);
    """)  # fmt: skip
    x, y = cp.arange(64, dtype="f4"), cp.zeros(192, "f4")
    sums((1,), (64,), (x, y))
    y = y.get()
    assert set(y[:32]) == {496.0}
    assert set(y[32:64]) == {1520.0}
    assert set(y[64:96]) == {0.0}
    assert set(y[96:128]) == {32.0}
    assert list(y[128:160]) == [*range(1, 32), 31]
    assert y[191] == 63


def add_up(cp):
    y = cp.zeros(4, "i4")
    kernel(cp, "add(int* y)", """
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        atomicAdd(&y[0], 1); atomicAdd(&y[1], i); atomicMax(&y[2], i); atomicExch(&y[3], i);
    """)((5,), (100,), (y,))  # fmt: skip
    return y.tolist()


@pytest.mark.gpu
def test_atomics_add_every_thread_of_every_block(cp):
    # 5 blocks of 100 threads each add 1 to the sum, their number to the total, and take part in the maximum.
    assert add_up(cp) == [500, sum(range(500)), 499, 499]


@emulated
def test_blocks_and_threads_run_backwards_on_demand():
    done = run("print(add_up(cp))", CPUCUDA_REVERSE="1")
    assert done.stdout == f"{[500, sum(range(500)), 499, 0]}\n", done.stderr


@pytest.mark.gpu
def test_dynamic_shared_memory_has_the_size_of_the_launch(cp):
    mirror = kernel(cp, "mirror(double* x, int n)", """
        extern __shared__ double t[];
        t[threadIdx.x] = x[threadIdx.x]; __syncthreads(); x[threadIdx.x] = t[n - 1 - threadIdx.x];
    """)  # fmt: skip
    x = cp.arange(33.0)
    mirror((1,), (33,), (x, 33), shared_mem=33 * 8)
    assert x.tolist() == list(range(33))[::-1]


def add_one(cp, compared):
    x = cp.arange(33, dtype="f4")
    y = cp.empty_like(x)
    kernel(cp, "add_one(const float* x, float* y, int n)", f"""
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i {compared} n) y[i] = x[i] + 1;
    """)((2,), (32,), (x, y, 33))  # fmt: skip
    return float(y.get().sum())


def with_address_sanitizer(script):
    library = subprocess.check_output(["g++", "-print-file-name=libasan.so"], text=True)
    preload = {"LD_PRELOAD": library.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    return run(script, "address_sanitizer=True", **preload)


@emulated
def test_address_sanitizer_names_the_kernel_that_reads_out_of_bounds():
    done = with_address_sanitizer("add_one(cp, '<=')")
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
    assert "in add_one" in done.stderr
    assert "add_one.cu:3" in done.stderr


@emulated
def test_address_sanitizer_passes_a_right_kernel():
    done = with_address_sanitizer("print(add_one(cp, '<'))")
    assert done.stdout == "561.0\n", done.stderr  # 1 + ... + 33


@pytest.mark.gpu
def test_uninitialised_memory_shows_as_nan(cp):
    with cp.cuda.using_allocator(cp.cuda.MemoryPool().malloc):  # which has nothing to give out a second time
        assert np.isnan(cp.empty(9, "f4").get()).all()
        assert (cp.empty(99, "i8").get() == -1).all()


@pytest.mark.gpu
def test_everything_is_counted(cp, emulator):
    x = cp.asarray(np.ones((4, 4), "f4"))
    (x + x) @ x
    emulator.reset(log=True)
    z = (x + x) @ x
    float(z[0, 0])
    cp.asarray(np.ones(3))
    counts = emulator.counts()
    assert {name: counts[name] for name in ("launch", "gemm", "h2d", "d2h", "sync")} == {
        "launch": 1, "gemm": 1, "h2d": 1, "d2h": 1, "sync": 1,
    }  # fmt: skip
    launch, product = (line for line in emulator.log() if "!" not in line)
    assert "add" in launch
    assert product == "GemmEx[NN m=4 n=4 k=4]"


@pytest.mark.gpu
def test_there_are_two_devices_that_do_not_mix(cp):
    assert cp.cuda.runtime.getDeviceCount() == 2
    with cp.cuda.Device(1):
        x = cp.ones(3)
        assert cp.cuda.runtime.getDevice() == 1
    assert cp.cuda.runtime.getDevice() == 0
    assert x.device.id == 1
    with pytest.raises(ValueError, match="different from the current device"):
        x + 1
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="^cudaErrorInvalidDevice"):
        cp.cuda.Device(2).use()


NOT_EMULATED = {
    "random.Generator": ("NotImplementedError", lambda cp: cp.random.default_rng(0)),
    "cuFFT": ("ImportError", lambda cp: cp.fft.fft(cp.eye(3))),
    "cuSOLVER": ("ImportError", lambda cp: cp.linalg.solve(cp.eye(3), cp.eye(3))),
    "a complex product": ("CUBLASError", lambda cp: cp.eye(3).astype("c8") @ cp.eye(3).astype("c8")),
    "lexsort": ("NotImplementedError", lambda cp: cp.lexsort(cp.eye(3))),
    "CUB": ("NotImplementedError", lambda cp: cp.cuda.cub.device_scan()),
    "an intrinsic that is not there": ("RuntimeError", lambda cp: kernel(cp, "f()", "__nanosleep(1);")((1,), (1,), ())),
    "more threads than a block has": ("CUDADriverError", lambda cp: kernel(cp, "f()", "")((1,), (2048,), ())),
    "managed memory": ("CUDARuntimeError", lambda cp: cp.cuda.runtime.mallocManaged(8)),
}


@pytest.mark.gpu
@pytest.mark.parametrize("what", NOT_EMULATED)
def test_what_is_not_emulated_raises(cp, what):
    error, call = NOT_EMULATED[what]
    with pytest.raises(Exception) as caught:
        call(cp)
    assert caught.typename == error


@pytest.mark.gpu
def test_every_generated_source_can_be_seen(cp, emulator):
    seen = []
    emulator.on_source.append(lambda source, options, names: seen.append((names, "__global__" in source)))
    try:
        cp.ElementwiseKernel("float64 x", "float64 y", "y = 2 * x", "doubled_for_this_test")(cp.ones(3))
    finally:
        emulator.on_source.pop()
    assert seen[-1] == (["doubled_for_this_test"], True)


@pytest.mark.gpu
def test_threads_of_the_host_may_launch_at_once(cp):
    a = np.random.default_rng(0).normal(size=(50, 40))
    want = (a * 2).sum(axis=0)

    def work(_):
        x = cp.asarray(a)
        return all(np.allclose((x * 2).sum(axis=0).get(), want) for _ in range(30))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(8)))


def test_another_version_of_the_wheel_is_refused_by_name(monkeypatch):
    if here and "needs the wheel" not in here and "private functions" not in here:
        pytest.skip(here)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    assert "pip install cupy-cuda13x==14.2.0" in cpucuda.unavailable()
    assert "found 99.0" in cpucuda.unavailable()
    with pytest.raises(ImportError, match=r"found 99\.0"):
        cpucuda.install()


def test_it_must_come_first(emulator):
    with pytest.raises(ImportError, match="must come before the first import of cupy"):
        emulator.install()


def test_a_machine_without_a_compiler_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    reason = cpucuda.unavailable()
    assert reason is not None
    assert "g++" in reason or "64-bit" in reason or "x86" in reason
