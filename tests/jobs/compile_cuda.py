"""Compile every CUDA source that a training gives rise to with NVIDIA's own compiler, for sm_80 and sm_90.

    PYTHONPATH=src:tests python tests/jobs/compile_cuda.py

CuPy runs on the emulated driver (tests/cpucuda) and generates the sources; NVRTC, from the wheels nvidia-cuda-nvrtc
and nvidia-cuda-runtime, compiles them without a driver or a GPU. Of our own kernels the registers and the spilled
bytes are printed. Exit status 1 if a kernel of ours spills, 2 if something is missing; a source that does not
compile raises.
"""

import ctypes
import importlib.util
import io
import re
import sys
import time
from pathlib import Path

import cpucuda
import numpy as np

ARCHITECTURES = ("sm_80", "sm_90")
OURS = re.compile(
    r"^(bias\w*|activation_backward|softmax_cross_entropy|clip_scale|\w+_step|gather_rows|scale_rows)$"
)
ACTIVATIONS = ("ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softplus")


def nvrtc_libraries() -> list[Path]:
    """The libraries of the nvidia-cuda-nvrtc wheel, in the order they must be loaded in."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    found = {
        path.name.split(".so")[0]: path for folder in folders for path in folder.glob("cu13/lib/libnvrtc*.so.13*")
    }
    return [found[name] for name in ("libnvrtc-builtins", "libnvrtc") if name in found]


def unavailable() -> str | None:
    """Why this job cannot run here, or None."""
    if len(nvrtc_libraries()) < 2 or not list(nvrtc_libraries()[1].parents[1].glob("include/cuda_runtime.h")):
        return "needs NVRTC: pip install 'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cuda-runtime==13.0.*'"
    return cpucuda.unavailable()


def train_everything() -> None:
    """One short training for each activation, optimizer and type: it calls each kernel that there is."""
    import mechanet as mn

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 6), dtype="uint8"), rng.integers(0, 3, 40)
    optimizers = [mn.SGD(0.1), mn.SGD(0.1, momentum=0.9), mn.Momentum(), mn.RMSProp(), mn.Adam(), mn.AdamW()]
    for dtype in ("float32", "float64"):
        for i, name in enumerate(ACTIVATIONS):
            hidden = [mn.Dense(5), getattr(mn, name)(), mn.Dropout(0.1), getattr(mn, name)()]
            chain = [*([mn.Scale(1 / 255)] if i % 2 else []), *hidden, mn.Dense(3)]
            net = mn.Network(chain, input_shape=(6,), dtype=dtype, device="cuda")
            training = mn.Training(net, x, y, batch_size=16, optimizer=optimizers[i % len(optimizers)], gradient_clip=1.0,
                                   validation=(x, y))  # fmt: skip
            list(training.epochs(1))
            net.predict_proba(x)
    for loss in ("binary_cross_entropy", "squared_error", "huber", "poisson"):
        net = mn.Network([mn.Dense(1)], input_shape=(6,), loss=loss, device="cuda")
        list(mn.Training(net, x / 255, y == 1, batch_size=16).epochs(1))


def main() -> int:
    reason = unavailable()
    if reason:
        print(reason)
        return 2
    cpucuda.install()
    for library in nvrtc_libraries():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    from cupy.cuda import compiler

    sources: dict[str, tuple[tuple[str, ...], list[str]]] = {}
    cpucuda.on_source.append(lambda source, options, names: sources.setdefault(source, (options, names)))
    train_everything()
    include = f"-I{nvrtc_libraries()[1].parents[1] / 'include'}"
    spilled, started, printed = 0, time.perf_counter(), 0
    for source, (options, names) in sources.items():
        for architecture in ARCHITECTURES:
            program = compiler._NVRTCProgram(source, f"{names[0]}.cu", (), (), method="cubin")
            log = io.StringIO()
            cubin, _ = program.compile((*options, include, f"-arch={architecture}", "--ptxas-options=-v"), log)
            assert cubin[:4] == b"\x7fELF"
            if OURS.match(names[0]):
                registers = re.search(r"Used (\d+) registers", log.getvalue())
                spills = sum(int(n) for n in re.findall(r"(\d+) bytes spill", log.getvalue()))
                kind = "double" if "double" in source.split("__global__")[0] else "float"
                assert registers is not None, log.getvalue()
                print(
                    f"{names[0]:24} {kind:7} {architecture}  {registers[1]:>3} registers  {spills} bytes spilled"
                )
                spilled += spills
                printed += 1
    seconds = time.perf_counter() - started
    print(
        f"{len(sources)} sources compiled for {' and '.join(ARCHITECTURES)} in {seconds:.1f} s, {printed} times ours"
    )
    return int(spilled > 0)


if __name__ == "__main__":
    sys.exit(main())
