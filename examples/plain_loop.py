"""Your own loop, and three lines for the governor. In step 60 a NaN strikes; watch what becomes of it."""

import math

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from tolaria.integrations.plain import watch

torch.manual_seed(0)
digits = load_digits()
inputs, targets = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)

model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
guard = watch(model, optimizer, chance_loss=math.log(10))

for step in range(1, 201):
    chosen = torch.randint(1400, (64,))
    loss = F.cross_entropy(model(inputs[chosen]), targets[chosen])
    if step == 60:
        loss = loss * math.nan
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    answer = guard.after_step(loss)
    if answer.outcome == "rolled_back":
        print(f"step {step}: {answer.cause}, rolled back to the snapshot of step {answer.snapshot_step}")

guard.finish()
accuracy = (model(inputs[1400:]).argmax(dim=1) == targets[1400:]).float().mean()
print(f"accuracy on digits it has not seen: {accuracy:.1%}")
