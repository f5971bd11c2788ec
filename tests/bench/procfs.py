"""What /proc says of a process with its descendants: CPU time, resident memory and its peak."""

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """CPU seconds that the whole machine has been busy, or robbed of by its host, since it booted."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, _words(Path("/proc/stat"))[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def own_seconds() -> float:
    """CPU seconds of this process and of all its descendants that have ended and been waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def family(pid: int) -> list[int]:
    """The process and all its living descendants (the workers of nginx, for one)."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    return [pid, *(member for child in children for member in family(child))]


def cpu_seconds(pid: int) -> float:
    """User and system seconds that the family has used so far."""
    return sum(_cpu_ticks(member) for member in family(pid)) / TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """Resident memory of the family; what members share counts once for each."""
    return sum(_status_bytes(member, "VmRSS") for member in family(pid))


def peak_resident_bytes(pid: int) -> int:
    """The most resident memory that each member of the family has had since it started, added up."""
    return sum(_status_bytes(member, "VmHWM") for member in family(pid))


def _words(path: Path) -> list[str]:
    return path.read_text().split()


def _cpu_ticks(pid: int) -> int:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = after_name[11:13]
    return int(user) + int(system)


def _status_bytes(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"no {key} in the status of process {pid}")
