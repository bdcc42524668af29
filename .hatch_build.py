"""Compiles `backend/cpu_loops.c` when the package is built; without a C compiler NumPy does everything."""

import os
import subprocess
import sysconfig
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
        try:
            made = [self.compile(real, name) for real, name in (("float", "float32"), ("double", "float64"))]
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"mechanet is built without its compiled loops, and slower: {error}")
            return
        build_data["artifacts"] += made
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def compile(self, real: str, name: str) -> str:
        """The path of the library for numbers of type `real`."""
        text = zlib.crc32(Path(self.root, SOURCE).read_bytes())  # loops of another text are not loaded
        library = str(SOURCE.with_name(f"cpu_loops_{text:08x}_{name}.so"))
        compiler = os.environ.get("CC", "cc").split()
        command = [*compiler, *FLAGS, f"-Dreal={real}", str(SOURCE), "-o", library, "-lm"]
        subprocess.run(command, cwd=self.root, check=True)
        return library
