"""Measures what pybreaker with its Redis storage adds to a call: `pybreaker_cost.py HOST PORT CALLS` prints JSON."""

import json
import sys
import time
from importlib.metadata import version

import pybreaker
import redis


def timed(function, calls):
    """How long each of so many calls takes, in microseconds, shortest first."""
    took = []
    for _ in range(calls):
        begin = time.perf_counter_ns()
        function()
        took.append((time.perf_counter_ns() - begin) / 1000)
    return sorted(took)


def commands(server):
    """What the server has been asked so far, but for questions such as this one."""
    return sum(
        command["calls"] for name, command in server.info("commandstats").items() if name != "cmdstat_info"
    )


def main():
    host, port, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    server = redis.StrictRedis(host=host, port=port)
    storage = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, server)
    breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60, state_storage=storage)

    def work():
        return 1

    def guarded():
        return breaker.call(work)

    timed(guarded, 100)
    before = commands(server)
    with_breaker = timed(guarded, calls)
    asked = commands(server) - before
    without = timed(work, calls)

    def added(percent):
        at = (calls - 1) * percent // 100
        return with_breaker[at] - without[at]

    print(
        json.dumps(
            {
                "version": version("pybreaker"),
                "commands_per_call": asked / calls,
                "added_p50_us": added(50),
                "added_p99_us": added(99),
            }
        )
    )


if __name__ == "__main__":
    main()
