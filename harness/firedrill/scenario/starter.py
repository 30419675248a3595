"""The scenario that `firedrill init` writes: it runs as it is, and every line says what may be changed."""

from pathlib import Path

SCHEMA_FILE = "scenario-v1.json"

# Its own path, so that an editor finds the schema wherever the package is installed.
SCHEMA_PATH = Path(__file__).with_name(SCHEMA_FILE)

TEMPLATE = """\
# yaml-language-server: $schema={schema}
version: 1
name: {name}                     # the name of this file
because: A weight that becomes NaN must be noticed at once and undone by a rollback.
tags: [governor, smoke]          # firedrill run -k smoke

# Two small hosts that grow a seed each; one of them is left alone.
subject:
  task: spirals
  seed: 11
  envs: 2
  steps: 16
  policy: scripted
  script:
    - {{step: 2, op: germinate, slot: s0, blueprint: mlp_norm}}

faults:
  - at: {{step: 8, env: 1}}        # or {{event: snapshot_taken, occurrence: 2, plus_steps: 1, env: 1}}
    do: tensor.set
    target: {{params: "head.*", pick: {{count: 1}}}}
    with: {{value: nan}}

expect:
  - detected: {{within: 1 steps, cause: non_finite}}
  - recovered: {{within: 3 steps}}
  - core                         # what every rollback must do
  - bystanders_untouched         # the other host notices nothing
verdict: recovered
budget: {{rollbacks: 1, wall: 60s}}
"""


def starter(name: str) -> str:
    """The text of a new scenario, with the line by which editors find the schema."""
    return TEMPLATE.format(name=name, schema=SCHEMA_PATH.as_uri())
