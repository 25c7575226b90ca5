"""Divides a budget of CPUs and memory among the components of a stack."""

from ops.stack.data_directory import instance_names
from ops.system.cgroups import Limit

# Shares of the whole budget, measured with two instances (docs/decisions/0013-division-of-the-budget.md).
# "api" stands for all instances together, "up" for the supervisor.
CPU_SHARES = {"mysql": 0.53, "api": 0.30, "nginx": 0.16, "up": 0.01}
MEMORY_SHARES = {"mysql": 0.66, "api": 0.24, "nginx": 0.06, "up": 0.04}


def divide_budget(cpus: float, memory: int, instances: int) -> dict[str, Limit]:
    """Return the limit of each component. The limits add up to `cpus` CPUs and at most `memory` bytes."""
    names = instance_names(instances)

    def limit(share: str, count: int = 1) -> Limit:
        return Limit(cpus * CPU_SHARES[share] / count, int(memory * MEMORY_SHARES[share] / count))

    return {
        "mysql": limit("mysql"),
        **dict.fromkeys(names, limit("api", len(names))),
        "nginx": limit("nginx"),
        "up": limit("up"),
    }
