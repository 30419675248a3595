"""Profiles of hypothesis: the default one is what every run can pay for, `nightly` looks much longer and at other cases each time."""

from hypothesis import settings

settings.register_profile("nightly", max_examples=3000, stateful_step_count=60, deadline=None, print_blob=True)
