"""Compiles `backend/cpu_loops.c` when the package is built; without a C compiler NumPy does everything.

With the loops the wheel is of one platform and of every Python: they are loaded by ctypes and know nothing of it.
Without them it is pure. On Linux the tag is linux_…, which a package index refuses: `auditwheel repair` makes it
manylinux_….
"""

import os
import subprocess
import zlib
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/mechanet/backend/cpu_loops.c")
# No fused multiply-add: the loops give NumPy's numbers bit for bit.
FLAGS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared"]


class Loops(BuildHookInterface):
    def initialize(self, version, build_data):
        if self.target_name != "wheel":
            return
        for old in Path(self.root, SOURCE.parent).glob("cpu_loops_*.so"):
            old.unlink()
        compiler = os.environ.get("CC", "cc")
        try:
            made = [self.compile(compiler, *numbers) for numbers in (("float", "float32"), ("double", "float64"))]
        except (OSError, subprocess.CalledProcessError) as error:
            without = "mechanet is built without its compiled loops, and slower"
            self.app.display_warning(f"{without}: {compiler}: {error}")
            return
        build_data["artifacts"] += made
        build_data["pure_python"] = False
        ours = self.build_config.builder.get_best_matching_tag()  # cp311-cp311-macosx_11_0_arm64
        build_data["tag"] = f"py3-none-{ours.rpartition('-')[2]}"

    def compile(self, compiler: str, real: str, name: str) -> str:
        """The path of the library for numbers of type `real`."""
        text = zlib.crc32(Path(self.root, SOURCE).read_bytes())  # loops of another text are not loaded
        library = str(SOURCE.with_name(f"cpu_loops_{text:08x}_{name}.so"))
        command = [*compiler.split(), *FLAGS, f"-Dreal={real}", str(SOURCE), "-o", library, "-lm"]
        subprocess.run(command, cwd=self.root, check=True)
        return library
