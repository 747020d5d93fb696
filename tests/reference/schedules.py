"""Learning rates over the whole range of each schedule -> schedules.json.

Run: python schedules.py      Made with torch 2.15.0, Keras 3.15.1 (PyTorch below it, floatx float64), Python 3.11.

"rates" are those of steps 0, 1, ... and go past the end where there is one. PyTorch's are what the optimizer has
before each step; Keras's are schedule(step). OneCycleLR refuses to go past its end, so it stops there.
"""
import os
import warnings

os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

from common import write

keras.config.set_floatx("float64")
warnings.filterwarnings("ignore", message="To get the last learning rate")
warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
CASES = []


def torch_case(kind, label, count, make, /, **config):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], config.get("rate", config.get("peak")))
    schedule = make(torch.optim.lr_scheduler, optimizer)
    rates = [float(optimizer.param_groups[0]["lr"])]
    for _ in range(count - 1):
        optimizer.step()
        schedule.step()
        rates.append(float(optimizer.param_groups[0]["lr"]))
    CASES.append({"name": f"torch {kind} {label}", "kind": kind, "config": config, "rates": rates})


def keras_case(kind, label, count, make, /, **config):
    schedule = make(keras.optimizers.schedules)
    rates = [float(schedule(step)) for step in range(count)]
    CASES.append({"name": f"keras {kind} {label}", "kind": kind, "config": config, "rates": rates})


for every, factor in [(1, 0.9), (7, 0.1), (10, 0.5)]:
    torch_case("StepDecay", f"every {every}", 40, lambda s, o: s.StepLR(o, every, factor),
               rate=0.3, steps=every, factor=factor)
for stones in [[], [0], [1, 2], [5, 17, 30]]:
    torch_case("MultiStepDecay", f"at {stones}", 35, lambda s, o: s.MultiStepLR(o, stones, 0.2),
               rate=0.3, milestones=stones, factor=0.2)
for factor in [0.9, 1.1]:
    torch_case("Exponential", f"{factor}", 40, lambda s, o: s.ExponentialLR(o, factor),
               rate=0.3, factor=factor, steps=1, staircase=False)
for stairs in [False, True]:
    for steps in [1, 7]:
        keras_case("Exponential", f"per {steps} {stairs}", 30, lambda s: s.ExponentialDecay(0.3, steps, 0.7, stairs),
                   rate=0.3, factor=0.7, steps=steps, staircase=stairs)
        keras_case("InverseTime", f"per {steps} {stairs}", 30, lambda s: s.InverseTimeDecay(0.3, steps, 0.7, stairs),
                   rate=0.3, decay=0.7, steps=steps, staircase=stairs)

for power in [0.5, 1.0, 2.0]:
    torch_case("Polynomial", f"power {power}", 35, lambda s, o: s.PolynomialLR(o, 25, power),
               rate=0.3, end=0.0, steps=25, power=power, cycle=False)
    for cycle in [False, True]:
        keras_case("Polynomial", f"power {power} {cycle}", 35, lambda s: s.PolynomialDecay(0.3, 10, 0.01, power, cycle),
                   rate=0.3, end=0.01, steps=10, power=power, cycle=cycle)
keras_case("Polynomial", "upwards", 15, lambda s: s.PolynomialDecay(0.0, 10, 0.2), rate=0.0, end=0.2, steps=10,
           power=1.0, cycle=False)

# A boundary of Keras is the last step of the old rate, ours the first of the new.
for label, boundaries, values in [("one", [9], [0.1, 0.02]), ("three", [0, 9, 10], [0.1, 0.3, 0.2, 0.05])]:
    keras_case("Piecewise", label, 20, lambda s: s.PiecewiseConstantDecay(boundaries, values),
               rates=values, boundaries=[b + 1 for b in boundaries])

torch_case("Cosine", "to 0", 21, lambda s, o: s.CosineAnnealingLR(o, 20), rate=0.3, minimum=0.0, steps=20)
torch_case("Cosine", "to 0.01", 21, lambda s, o: s.CosineAnnealingLR(o, 20, 0.01), rate=0.3, minimum=0.01, steps=20)
keras_case("Cosine", "past its end", 30, lambda s: s.CosineDecay(0.3, 20, 0.1), rate=0.3, minimum=0.03, steps=20)
for times in [1, 2, 3]:
    torch_case("CosineRestarts", f"times {times}", 60, lambda s, o: s.CosineAnnealingWarmRestarts(o, 6, times, 0.01),
               rate=0.3, minimum=0.01, steps=6, longer=times, lower=1.0)
for times, lower in [(1, 1.0), (1, 0.8), (2, 0.5)]:
    keras_case("CosineRestarts", f"times {times} height {lower}", 60,
               lambda s: s.CosineDecayRestarts(0.3, 6, float(times), lower, 0.1),
               rate=0.3, minimum=0.03, steps=6, longer=times, lower=lower)

ONE_CYCLE = {"rise": 0.3, "divisor": 25.0, "final_divisor": 1e4, "linear": False, "three_phases": False}
for label, steps, changes in [
    ("as it is", 40, {}),
    ("linear", 40, {"linear": True}),
    ("three phases", 40, {"three_phases": True}),
    ("three phases linear", 40, {"three_phases": True, "linear": True}),
    ("divisors", 23, {"divisor": 5.0, "final_divisor": 0.5}),
    ("no rise", 10, {"rise": 0.0}),
    ("all rise", 10, {"rise": 1.0}),
    ("ends between steps", 17, {"rise": 0.37, "three_phases": True}),
    ("rise of less than a step", 3, {"rise": 0.2, "three_phases": True}),
    ("one step", 1, {}),
]:
    c = ONE_CYCLE | changes
    torch_case("OneCycle", label, steps, lambda s, o: s.OneCycleLR(
        o, 0.3, steps, pct_start=c["rise"], anneal_strategy="linear" if c["linear"] else "cos", cycle_momentum=False,
        div_factor=c["divisor"], final_div_factor=c["final_divisor"], three_phase=c["three_phases"]),
        peak=0.3, steps=steps, **c)

write("schedules.json", {"torch": torch.__version__.split("+")[0], "keras": keras.__version__}, CASES)
