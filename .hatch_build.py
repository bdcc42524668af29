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
        folder = Path(self.root, SOURCE.parent)
        for old in folder.glob("cpu_loops_*.so"):
            old.unlink()
        text = zlib.crc32(Path(self.root, SOURCE).read_bytes())  # loops of another text are not loaded
        compiler = os.environ.get("CC", "cc").split()
        made = []
        for real, name in (("float", "float32"), ("double", "float64")):
            library = SOURCE.with_name(f"cpu_loops_{text:08x}_{name}.so")
            command = [*compiler, *FLAGS, f"-Dreal={real}", str(SOURCE), "-o", str(library), "-lm"]
            try:
                subprocess.run(command, cwd=self.root, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                self.app.display_warning(f"mechanet is built without its compiled loops, and slower: {error}")
                return
            made.append(str(library))
        build_data["artifacts"] += made
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
