"""How a deferred sensor ends at its time limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipernity_provider.airflow_compat import AirflowSensorTimeout, AirflowTaskTimeout

if TYPE_CHECKING:
    from airflow.sdk import BaseSensorOperator

    from ipernity_provider.triggers.deadline import Deadline


def time_is_up(sensor: BaseSensorOperator, deadline: Deadline, seen: str) -> BaseException:
    """Return what a resumed sensor raises when its deadline has passed.

    It is what Airflow raises for a sensor that is not deferred.

    At ``timeout`` a sensor fails without a retry; at ``execution_timeout`` only this try ends.

    :param seen: the sentence about what was seen last.
    """
    message = f"Sensor has timed out: {deadline} has passed. {seen}"
    # Airflow makes a skip of an AirflowSensorTimeout that a sensor with soft_fail or never_fail
    # raises when it is resumed, but not of an AirflowTaskTimeout.
    if deadline.limit == "timeout" or sensor.soft_fail or sensor.never_fail:
        return AirflowSensorTimeout(message)
    return AirflowTaskTimeout(message)
