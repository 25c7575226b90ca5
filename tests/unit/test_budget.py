"""The limits of the components are shares of one budget."""

import pytest

from ops.stack.budget import divide_budget


@pytest.mark.parametrize("instances", [1, 2, 3])
def test_the_limits_of_the_components_add_up_to_the_budget(instances: int) -> None:
    limits = divide_budget(1.5, 3 << 30, instances).values()

    assert sum(limit.cpus for limit in limits) == pytest.approx(1.5)
    assert (3 << 30) - 10 < sum(limit.memory for limit in limits) <= 3 << 30
