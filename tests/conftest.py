"""Profiles of hypothesis: the loaded one is what every run can pay for, `nightly` looks much longer and at other cases each time.

Neither looks at a clock: what takes its time on a busy machine is not wrong.
"""

from hypothesis import HealthCheck, settings

TIMELESS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

# Built on the one that hypothesis chooses, which under continuous integration draws the same cases each time.
settings.register_profile("timeless", settings(), **TIMELESS)
settings.load_profile("timeless")
settings.register_profile("nightly", max_examples=3000, stateful_step_count=60, print_blob=True, **TIMELESS)
