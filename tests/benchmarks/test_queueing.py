from __future__ import annotations

import numpy as np
import pytest

from benchmarks.promises.queueing import replicas_for, times_in_system

SERVICE_S = 0.01


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.9])
def test_one_server_keeps_its_queue_waiting_as_pollaczek_and_khinchine_say(
    utilisation: float,
) -> None:
    times = times_in_system(utilisation / SERVICE_S, SERVICE_S, 1)
    wait = utilisation * SERVICE_S / (2 * (1 - utilisation))
    assert times.mean() == pytest.approx(SERVICE_S + wait, rel=0.1)


def test_nobody_waits_for_a_server_that_is_free() -> None:
    assert np.median(times_in_system(1, SERVICE_S, 2)) == pytest.approx(SERVICE_S)


def test_two_servers_wait_less_than_one_of_half_the_load_each() -> None:
    shared = times_in_system(160, SERVICE_S, 2).mean()
    assert shared < times_in_system(80, SERVICE_S, 1).mean()


def test_so_many_replicas_are_enough_and_one_less_is_not() -> None:
    count = replicas_for(1000, 0.03, SERVICE_S, 2)
    assert count is not None

    def p99(replicas: int) -> float:
        return float(np.percentile(times_in_system(1000 / replicas, SERVICE_S, 2), 99))

    assert p99(count) <= 0.03 < p99(count - 1)


def test_no_number_of_replicas_answers_before_the_work_is_done() -> None:
    assert replicas_for(10, 0.005, SERVICE_S, 2) is None
