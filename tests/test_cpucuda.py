"""The emulator itself: each test runs a script in a process of its own, on real CuPy."""

import importlib.metadata
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import cpucuda
import pytest

TESTS = Path(__file__).parent
here = cpucuda.unavailable()
emulated = pytest.mark.skipif(here is not None, reason=here or "")


def run(script, install="", **environment):
    """The finished process of `script`, with CuPy emulated before it."""
    head = f"import cpucuda; cpucuda.install({install})\nimport cupy as cp, numpy as np\n"
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def output(script, install="", **environment):
    done = run(script, install, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@emulated
def test_the_basic_operations_agree_with_numpy():
    # a matrix product (both layouts), a reduction, a view, a broadcast, promotion, an index
    assert output("""
        a = np.random.default_rng(0).normal(size=(7, 5)).astype("f4")
        for f in (lambda m, x: x @ m.ones((5, 3), "f4"), lambda m, x: x.T @ x, lambda m, x: m.sum(x, axis=0),
                  lambda m, x: x[::2, 1:] + x[:1, :-1], lambda m, x: x + np.float64(1),
                  lambda m, x: m.argmax(x, axis=1),
                  lambda m, x: m.take(x, m.asarray([6, 0, 6]), axis=0), lambda m, x: m.sort(x, axis=1),
                  lambda m, x: m.stack([x, x]) @ x.T):
            got, want = f(cp, cp.asarray(a)).get(), f(np, a)
            assert got.dtype == want.dtype and got.shape == want.shape, f
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
        print("equal")
        """) == ["equal"]


@emulated
@pytest.mark.parametrize("real", [True, False], ids=["scipy's BLAS", "plain loop"])
def test_products_in_float32_and_float64_agree_with_float64_sums(real):
    without = "" if real else "import cpucuda.libraries as l; l.give_blas = lambda cublas: None"
    script = """
        rng = np.random.default_rng(1)
        for dtype, tolerance in (("f4", 1e-4), ("f8", 1e-12)):
            a, b = rng.normal(size=(31, 33)).astype(dtype), rng.normal(size=(33, 17)).astype(dtype)
            want = np.einsum("ij,jk->ik", a.astype("f8"), b.astype("f8"))
            for x, y in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
                got = (cp.asarray(x) @ cp.asarray(y)).get()
                np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
        print("equal")
        """
    head = f"import cpucuda; {without}; cpucuda.install(); import cupy as cp, numpy as np\n"
    if real:
        assert output(script) == ["equal"]
    else:
        done = subprocess.run(
            [sys.executable, "-c", head + textwrap.dedent(script)],
            env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.stdout.split() == ["equal"], done.stderr


REVERSE = """
    k = cp.RawKernel(r'''extern "C" __global__ void reverse(float* x) {
        __shared__ float t[64];
        int i = threadIdx.x;
        t[i] = x[i];
        BARRIER
        x[i] = t[63 - i];
    }''', "reverse")
    x = cp.arange(64, dtype="f4")
    k((1,), (64,), (x,))
    print(int((x.get() == np.arange(64)[::-1]).sum()))
"""


@emulated
def test_a_barrier_is_waited_at():
    assert output(REVERSE.replace("BARRIER", "__syncthreads();")) == ["64"]


@emulated
def test_a_missing_barrier_changes_values():
    assert output(REVERSE.replace("BARRIER", "")) != ["64"]


@emulated
def test_a_barrier_that_not_all_threads_reach_ends_the_process():
    done = run(REVERSE.replace("BARRIER", "if (i < 40) __syncthreads(); else __syncwarp(); __syncthreads();"))
    assert done.returncode != 0
    assert "barrier deadlock" in done.stderr


@emulated
def test_shuffles_exchange_within_a_warp():
    # Butterfly sum over 32 lanes of 0..63: 0+...+31 = 496 in the first warp, 32+...+63 = 1520 in the second;
    # then the first lane of a warp to all, and each lane's upper neighbour (the last keeps its own).
    assert output("""
        k = cp.RawKernel(r'''extern "C" __global__ void sums(const float* x, float* y) {
            float v = x[threadIdx.x], s = v;
            for (int m = 16; m; m >>= 1) s += __shfl_xor_sync(0xffffffff, s, m);
            y[threadIdx.x] = s;
            y[threadIdx.x + 64] = __shfl_sync(0xffffffff, v, 0);
            y[threadIdx.x + 128] = __shfl_down_sync(0xffffffff, v, 1);
        }''', "sums")
        x, y = cp.arange(64, dtype="f4"), cp.zeros(192, "f4")
        k((1,), (64,), (x, y))
        y = y.get()
        assert set(y[:32]) == {496.0} and set(y[32:64]) == {1520.0}
        assert set(y[64:96]) == {0.0} and set(y[96:128]) == {32.0}
        assert list(y[128:160]) == [*range(1, 32), 31] and y[191] == 63
        print("exchanged")
        """) == ["exchanged"]


@emulated
@pytest.mark.parametrize("reverse", [False, True])
def test_atomics_add_every_thread_of_every_block(reverse):
    # 5 blocks of 100 threads each add 1 to the sum, their number to the total, and take part in the maximum.
    assert output(
        """
        k = cp.RawKernel(r'''extern "C" __global__ void add(int* y) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            atomicAdd(&y[0], 1); atomicAdd(&y[1], i); atomicMax(&y[2], i); atomicExch(&y[3], i);
        }''', "add")
        y = cp.zeros(4, "i4")
        k((5,), (100,), (y,))
        print(*y.tolist())
        """,
        **({"CPUCUDA_REVERSE": "1"} if reverse else {}),
    ) == ["500", str(sum(range(500))), "499", "0" if reverse else "499"]


@emulated
def test_dynamic_shared_memory_has_the_size_of_the_launch():
    assert output("""
        k = cp.RawKernel(r'''extern "C" __global__ void mirror(double* x, int n) {
            extern __shared__ double t[];
            t[threadIdx.x] = x[threadIdx.x]; __syncthreads(); x[threadIdx.x] = t[n - 1 - threadIdx.x];
        }''', "mirror")
        x = cp.arange(33.0)
        k((1,), (33,), (x, 33), shared_mem=33 * 8)
        print(int((x.get() == np.arange(33)[::-1]).sum()))
        """) == ["33"]


ADD_ONE = """
    k = cp.RawKernel(r'''extern "C" __global__ void add_one(const float* x, float* y, int n) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i COMPARED n) y[i] = x[i] + 1;
    }''', "add_one")
    x = cp.arange(33, dtype="f4")
    y = cp.empty_like(x)
    k((2,), (32,), (x, y, 33))
    print(y.get().sum())
"""


def address_sanitizer(script):
    library = subprocess.check_output(["g++", "-print-file-name=libasan.so"], text=True)
    preload = {"LD_PRELOAD": library.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    return run(script, "address_sanitizer=True", **preload)


@emulated
def test_address_sanitizer_names_the_kernel_that_reads_out_of_bounds():
    done = address_sanitizer(ADD_ONE.replace("COMPARED", "<="))
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
    assert "in add_one" in done.stderr
    assert "add_one.cu:3" in done.stderr


@emulated
def test_address_sanitizer_passes_a_right_kernel():
    done = address_sanitizer(ADD_ONE.replace("COMPARED", "<"))
    assert done.stdout.split() == ["561.0"], done.stderr  # 1 + ... + 33


@emulated
def test_uninitialised_memory_shows_as_nan():
    assert output("print(np.isnan(cp.empty(9, 'f4').get()).sum(), cp.empty(99, 'i8').get().max())") == [
        "9",
        "-1",
    ]


@emulated
def test_everything_is_counted():
    names = ["launch", "gemm", "h2d", "d2h", "sync"]
    counted = output(f"""
        x = cp.asarray(np.ones((4, 4), "f4")); y = x + x; y @ x
        cpucuda.reset(log=True)
        z = (x + x) @ x
        float(z[0, 0]); cp.asarray(np.ones(3))
        print(*(cpucuda.counts()[n] for n in {names}))
        print(*(line for line in cpucuda.log() if "!" not in line))
        """)
    assert counted[:5] == ["1", "1", "1", "1", "1"]
    assert "add" in counted[5]
    assert counted[6:] == ["GemmEx[NN", "m=4", "n=4", "k=4]"]


@emulated
def test_there_are_two_devices_that_do_not_mix():
    assert output("""
        count = cp.cuda.runtime.getDeviceCount()
        with cp.cuda.Device(1):
            x = cp.ones(3)
            inside = cp.cuda.runtime.getDevice()
        print(count, inside, cp.cuda.runtime.getDevice(), x.device.id)
        try:
            x + 1
        except ValueError as error:
            print("refused" if "different from the current device" in str(error) else error)
        try:
            cp.cuda.Device(2).use()
        except cp.cuda.runtime.CUDARuntimeError as error:
            print(str(error).split(":")[0])
        """) == ["2", "1", "0", "1", "refused", "cudaErrorInvalidDevice"]


@emulated
def test_what_is_not_emulated_raises():
    assert output("""
        x = cp.eye(3)
        kernel = lambda body: cp.RawKernel('extern "C" __global__ void f() {' + body + "}", "f")
        calls = (lambda: cp.random.default_rng(0), lambda: cp.fft.fft(x), lambda: cp.linalg.solve(x, x),
                 lambda: x.astype("c8") @ x.astype("c8"), lambda: cp.lexsort(x),
                 lambda: cp.cuda.cub.device_scan(),
                 lambda: kernel("__nanosleep(1);")((1,), (1,), ()),  # an intrinsic that is not there
                 lambda: kernel("")((1,), (2048,), ()),  # more threads than a block has
                 lambda: cp.cuda.runtime.mallocManaged(8))
        for call in calls:
            try:
                call()
            except Exception as error:
                print(type(error).__name__)
            else:
                print("nothing raised", call)
        """) == [
        "NotImplementedError", "ImportError", "ImportError", "CUBLASError", "NotImplementedError",
        "NotImplementedError", "RuntimeError", "CUDADriverError", "CUDARuntimeError",
    ]  # fmt: skip


@emulated
def test_every_generated_source_can_be_seen():
    assert output("""
        seen = []
        cpucuda.on_source.append(lambda source, options, names: seen.append((names, "__global__" in source)))
        cp.ones(3) * 2
        print(*seen[-1][0], seen[-1][1])
        """) == ["cupy_multiply__float64_float_float64", "True"]


@emulated
def test_threads_of_the_host_may_launch_at_once():
    assert output("""
        from concurrent.futures import ThreadPoolExecutor
        a = np.random.default_rng(0).normal(size=(50, 40))
        want = (a * 2).sum(axis=0)
        def work(_):
            x = cp.asarray(a)
            return all(np.allclose((x * 2).sum(axis=0).get(), want) for _ in range(30))
        print(all(ThreadPoolExecutor(4).map(work, range(8))))
        """) == ["True"]


def test_another_version_of_the_wheel_is_refused_by_name(monkeypatch):
    if here and "needs the wheel" not in here and "private functions" not in here:
        pytest.skip(here)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    assert "pip install cupy-cuda13x==14.2.0" in cpucuda.unavailable()
    assert "found 99.0" in cpucuda.unavailable()
    with pytest.raises(ImportError, match=r"found 99\.0"):
        cpucuda.install()


@emulated
def test_it_must_come_first():
    done = run("import cpucuda; cpucuda.install()")
    assert done.returncode != 0
    assert "must come before the first import of cupy" in done.stderr


def test_a_machine_without_a_compiler_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    reason = cpucuda.unavailable()
    assert reason is not None
    assert "g++" in reason or "64-bit" in reason or "x86" in reason
