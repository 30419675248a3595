"""Where a run was: the class of the machine, and the commit. Asked of the system, so that no torch is loaded for it."""

import os
import platform
import re
import shutil
import subprocess


def machine_class() -> str:
    """One word for machines whose results may be compared with one another: "linux-x86_64-2-cores", or with the name of a GPU."""
    name = f"{platform.system()}-{platform.machine()}-{os.cpu_count()}-cores"
    gpu = _first_line("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return "-".join(re.findall(r"[a-z0-9_]+", f"{name} {gpu}".lower()))


def commit() -> str:
    """The commit that stands here, with a plus where files differ from it; empty outside of a repository."""
    head = _first_line("git", "rev-parse", "HEAD")
    return f"{head}+" if head and _first_line("git", "status", "--porcelain", "--untracked-files=no") else head


def _first_line(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        return ""
    ended = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return next(iter(ended.stdout.splitlines()), "").strip() if ended.returncode == 0 else ""
