"""The machine: threads, devices, priorities, and the environment that native libraries read once, at load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


def prepare_environment() -> None:
    """Set what torch, tokenizers and the Hub client read when they are first imported. Call before any of them.

    ``OMP_WAIT_POLICY=PASSIVE``: with spinning barriers two busy threads on a shared 2-core machine decode at
    2 tokens a second where one does 15 (measured).
    """
    for name, value in {
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "DO_NOT_TRACK": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONWARNINGS": "ignore",
        "LANCE_LOG": "error",
    }.items():
        os.environ.setdefault(name, value)


def cores() -> int:
    """CPUs this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


def step_back(niceness: int) -> None:
    """Lower this process's priority, so that the screen and the chat stay quick beside a heavy job."""
    with suppress(AttributeError, OSError):  # Windows has no nice; a sandbox may refuse it
        os.nice(niceness)


def torch_device() -> str:
    """The device for training and embedding: ``cuda``, ``mps`` or ``cpu``. GPU paths are untested here."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def set_torch_threads(threads: int) -> None:
    """Use ``threads`` CPU threads in torch; 0 means one for each core."""
    import torch

    torch.set_num_threads(threads or cores())


def bf16_pays() -> bool:
    """Whether bfloat16 arithmetic is native here (AVX512-BF16, AMX, or a GPU that has it)."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return cpu_bf16()


def cpu_bf16() -> bool:
    """Whether the CPU computes in bfloat16 itself."""
    try:
        flags = next((line for line in Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines() if line.startswith("flags")), "")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a memory: of the machine (``name`` is “RAM”) or of a GPU. ``free`` is what a new process could have."""

    name: str
    total: int
    free: int


def memory() -> Memory:
    """The machine's memory, within what its control group may use. Caches that can be dropped count as free."""
    import psutil

    found = psutil.virtual_memory()
    total, free = int(found.total), int(found.available)
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        with suppress(OSError, ValueError):
            most = int((Path("/sys/fs/cgroup") / limit).read_text("ascii"))
            if most < total:
                total, free = most, min(free, max(0, most - int((Path("/sys/fs/cgroup") / used).read_text("ascii"))))
    return Memory("RAM", total, free)


def gpu_memory() -> list[Memory]:
    """The memory of each NVIDIA GPU, by ``nvidia-smi``: torch is not loaded for the question. Untested: there is no GPU here."""
    if (program := shutil.which("nvidia-smi")) is None:
        return []
    words = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
    found = [[part.strip() for part in line.rsplit(",", 2)] for line in lines]
    return [Memory(name, int(total) << 20, int(free) << 20) for name, total, free in found if total.isdigit() and free.isdigit()]


def peak_memory(process: int = 0) -> int:
    """The most memory that a process (this one, if none is given) has had resident so far, in bytes; 0 if it is gone."""
    with suppress(OSError, ValueError, StopIteration):
        # Unlike ru_maxrss this starts anew in a forked child.
        file = Path("/proc") / (str(process) if process else "self") / "status"
        line = next(line for line in file.read_text("ascii", "replace").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if process:
        return resident(process)
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def training_memory() -> tuple[int, int]:
    """What a training in this process holds now, and the most it held so far, in bytes: allocated by torch on the GPU where
    there is one (untested: there is none here), else resident memory of the process."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated()), int(torch.cuda.max_memory_allocated())
    held = resident(os.getpid())
    return held, max(held, peak_memory())


def resident(process: int) -> int:
    """The memory that a process has resident now, in bytes; 0 if it is gone."""
    import psutil

    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:
        return 0
