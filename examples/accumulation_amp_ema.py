"""A loop with everything: four micro-batches a step, mixed precision with a scaler, averaged weights, a schedule.

In step 40 one micro-batch of four is NaN; in step 80 noise overwrites the head, which takes three strikes to be sure of.
"""

import math

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import Answer, watch

MICRO_BATCHES = 4
STEPS = 160

torch.manual_seed(0)
digits = load_digits()
inputs, targets = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)

model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.BatchNorm1d(64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=STEPS)
# On CUDA the device's name is all that changes; float16 is what needs a scaler.
scaler = torch.amp.GradScaler("cpu")
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95), use_buffers=True)

guard = watch(
    model,
    optimizer,
    GovernorConfig(snapshot_every=10, probation=3),
    chance_loss=math.log(10),
    scheduler=scheduler,
    scaler=scaler,
    ema=ema,
)


def train_step(step: int) -> Answer:
    """One optimizer step, and what the governor has to say of it."""
    losses = []
    for micro_batch in range(MICRO_BATCHES):
        chosen = torch.randint(1400, (32,))
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(inputs[chosen]), targets[chosen])
        if (step, micro_batch) == (40, 2):
            loss = loss * math.nan
        scaler.scale(loss / MICRO_BATCHES).backward()
        losses.append(loss.detach())
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    scheduler.step()
    ema.update_parameters(model)
    # All of them, so that the one that is NaN shows in this very step.
    return guard.after_step(torch.stack(losses))


for step in range(1, STEPS + 1):
    if step == 80:
        with torch.no_grad():
            model[-1].weight.normal_(std=100.0)
    answer = train_step(step)
    if answer.outcome != "healthy":
        print(f"step {step}: {answer.outcome}, {answer.cause}, snapshot of step {answer.snapshot_step}")

guard.finish()
ema.eval()
accuracy = (ema(inputs[1400:]).argmax(dim=1) == targets[1400:]).float().mean()
print(f"accuracy of the averaged weights on digits they have not seen: {accuracy:.1%}")
