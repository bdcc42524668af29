"""Run inside the CUDA image, without a GPU: CuPy imports, its libraries load, NVRTC compiles our kernels."""

import importlib.metadata

import cupy
from cupy.cuda import cublas, nvrtc

from mechanet.kernels import cuda as cuda_kernels

LIMIT = 1200  # MB that CuPy and CUDA's libraries may take, unpacked


def compile_kernel(kernel, architecture: str) -> int:
    """Compile to machine code, and return its size."""
    program = nvrtc.createProgram(kernel.code, "kernel.cu", [], [])
    try:
        nvrtc.compileProgram(program, [f"--gpu-architecture={architecture}", "-std=c++17", "-default-device"])
    except nvrtc.NVRTCError:
        raise SystemExit(nvrtc.getProgramLog(program)) from None
    return len(nvrtc.getCUBIN(program))


def kernels():
    """Every raw kernel, for both types of numbers."""
    sources = {
        "softmax_cross_entropy": cuda_kernels.BLOCK_SUMS + cuda_kernels.SOFTMAX_CROSS_ENTROPY,
        "clip_scale": cuda_kernels.BLOCK_SUMS + cuda_kernels.CLIP_SCALE,
    }
    for dtype in ("float32", "float64"):
        for name, source in sources.items():
            yield name, dtype, cuda_kernels._raw(source, name, dtype)
        for activation, (_, derivative) in cuda_kernels.ACTIVATIONS.items():
            source = cuda_kernels.ACTIVATION_BACKWARD
            yield activation, dtype, cuda_kernels._raw(source, "activation_backward", dtype, derivative)


def main() -> None:
    print(f"CuPy {cupy.__version__}, NVRTC {'.'.join(map(str, nvrtc.getVersion()))}")
    try:
        cublas.create()
    except cublas.CUBLASError as error:  # the library is there and says that the driver is not
        print(f"cuBLAS: {error}")
    for name, dtype, kernel in kernels():
        sizes = {arch: compile_kernel(kernel, arch) for arch in ("sm_80", "sm_90")}
        print(f"{name} {dtype}: " + ", ".join(f"{arch} {size} bytes" for arch, size in sizes.items()))
    size = 0
    for package in importlib.metadata.distributions():
        if package.metadata["Name"].startswith(("cupy", "cuda-", "cuda_", "nvidia")):
            size += sum(file.locate().stat().st_size for file in package.files or () if file.locate().is_file())
    print(f"CuPy and CUDA's libraries: {size / 1e6:.0f} MB unpacked")
    if size > LIMIT * 1e6:
        raise SystemExit(f"expected at most {LIMIT} MB")


if __name__ == "__main__":
    main()
