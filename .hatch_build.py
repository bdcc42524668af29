"""Compiles `backend/cpu_loops.c` when the package is built; without a C compiler NumPy does everything."""

import os
import subprocess
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/mechanet/backend/cpu_loops.c")
# No fused multiply-add: the loops give NumPy's numbers bit for bit.
FLAGS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared"]


class Loops(BuildHookInterface):
    def initialize(self, version, build_data):
        if self.target_name != "wheel":
            return
        compiler = os.environ.get("CC", "cc").split()
        made = []
        for real, name in (("float", "float32"), ("double", "float64")):
            library = SOURCE.with_name(f"cpu_loops_{name}.so")
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
