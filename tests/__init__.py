"""The tests. Failed assertions of the helpers are explained as those of the tests are."""

import pytest

pytest.register_assert_rewrite("tests.support")
