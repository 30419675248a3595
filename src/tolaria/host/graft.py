"""Slots in a network from elsewhere: at the outputs of submodules that its owner names.

Nothing of the network is rewritten. For the length of a pass, and no longer, a hook at each place hands the submodule's
output to the slot and the slot's to whatever comes next; outside of it the network is what it was.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge

from tolaria.errors import ConfigError
from tolaria.host.host import Host, evaluating

# What features look like, by the number of their dimensions: [B, C], [B, T, C] and [B, C, H, W]; and where the channels stand.
FAMILIES = {2: ("mlp", 1), 3: ("transformer", 2), 4: ("conv", 1)}

Answer = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def call(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The answer of a network that takes a tensor and returns logits."""
    logits: torch.Tensor = module(x)
    return logits


class GraftedHost(Host):
    """A network with a slot at each of `places`, submodules by slot id, whose features are of these `dtypes`.

    `answer` says how it is called and where its logits are.
    """

    # It may have dropout anywhere. On an accelerator that still draws from the one generator of the device.
    draws = True

    def __init__(
        self,
        module: nn.Module,
        places: Mapping[str, str],
        family: str,
        channels: Mapping[str, int],
        dtypes: Mapping[str, torch.dtype],
        answer: Answer,
    ) -> None:
        super().__init__(family, channels)
        self.module = module
        self.places = dict(places)
        self._dtypes = dict(dtypes)
        self._answer = answer
        # What the shadow pass begins from, kept while a seed needs it.
        self._inputs: torch.Tensor | None = None

    def forward(self, x: torch.Tensor, without: Collection[str] = ()) -> torch.Tensor:
        """Logits, every slot in its place but those named in `without`."""
        if self.training:
            self._inputs = x
        return self._pass(x, {slot_id: self.slot(slot_id) for slot_id in self.places if slot_id not in without})

    def shadow(self, slot_id: str, features: torch.Tensor) -> torch.Tensor:
        """Logits with this seed at alpha 1. What comes after a place cannot be told apart, so the whole network is run again."""
        assert self._inputs is not None, "no training forward was made"
        assert not features.requires_grad, "the shadow pass starts from detached features"

        def mix(_: torch.Tensor) -> torch.Tensor:
            torch.set_grad_enabled(True)
            return self.slot(slot_id).mixed_fully(features)

        own = [module for slot in self.places if slot != slot_id for module in self.slot(slot).modules()]
        # Before the seed nothing is to be learnt; `no_grad` also undoes what `mix` turns on.
        with evaluating([*self.module.modules(), *own]), torch.no_grad():
            return self._pass(self._inputs, {slot: self.slot(slot) for slot in self.places} | {slot_id: mix})

    @property
    def like(self) -> torch.Tensor:
        """The network's first parameter."""
        return next(self.module.parameters())

    def like_at(self, slot_id: str) -> torch.Tensor:
        """Of the dtype that the features at this slot have."""
        return self.like.new_empty(0, dtype=self._dtypes[slot_id])

    def _pass(self, x: torch.Tensor, at: Mapping[str, Callable[[torch.Tensor], torch.Tensor]]) -> torch.Tensor:
        with _hooked(self.module, {self.places[slot_id]: through for slot_id, through in at.items()}):
            return self._answer(self.module, x)


def graft(module: nn.Module, at: Sequence[str], example: torch.Tensor, answer: Answer = call) -> GraftedHost:
    """A host around any network: slots "s0", "s1", ... at the outputs of the submodules `at`, named in order of execution.

    `example` is a batch of inputs [B, ...] for a few passes, which show whether each place can take a seed and leave no trace;
    raises `ConfigError` where one cannot. Modules with gradients switched off stay as they are.
    """
    if isinstance(at, str) or not at or len(set(at)) != len(at):
        raise ConfigError("graft.at", at, "a list of at least one name of a submodule, each once")
    names = dict(module.named_modules())
    for path in at:
        if path not in names or not path:
            raise ConfigError("graft.at", path, f"one of the submodules {', '.join(name for name in names if name)}")
    seen = _probe(module, at, example, answer)
    if list(seen) != list(at):
        raise ConfigError("graft.at", list(at), f"the order in which they are run, {list(seen)}")
    families = {FAMILIES[features.dim()][0] for features in seen.values()}
    if len(families) > 1:
        found = {path: f"{FAMILIES[features.dim()][0]} {list(features.shape)}" for path, features in seen.items()}
        raise ConfigError("graft.at", found, "places whose features are all of one kind")
    places = {f"s{number}": path for number, path in enumerate(at)}
    channels = {slot_id: seen[path].shape[FAMILIES[seen[path].dim()][1]] for slot_id, path in places.items()}
    dtypes = {slot_id: seen[path].dtype for slot_id, path in places.items()}
    return GraftedHost(module, places, families.pop(), channels, dtypes, answer)


def _probe(module: nn.Module, at: Sequence[str], example: torch.Tensor, answer: Answer) -> dict[str, torch.Tensor]:
    """The features at each place, in the order in which they came by."""
    runs: list[tuple[str, object]] = []
    # Mixed in as a seed would be, so that a gradient comes to it where one would come to a seed.
    dials = {path: torch.ones((), requires_grad=True) for path in at}

    def note(path: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def noted(output: torch.Tensor) -> torch.Tensor:
            runs.append((path, output))
            # It may be anything.
            found: object = output
            return output * dials[path] if isinstance(found, torch.Tensor) and found.is_floating_point() else output

        return noted

    with evaluating(list(module.modules())), torch.enable_grad(), _hooked(module, {path: note(path) for path in at}):
        logits: object = answer(module, example)
    if not isinstance(logits, torch.Tensor) or logits.dim() < 2 or len(logits) != len(example):
        raise ConfigError("graft.answer", _words(logits), f"logits [{len(example)}, ..., classes] for {len(example)} inputs")
    for path in at:
        outputs = [output for place, output in runs if place == path]
        if len(outputs) != 1:
            raise ConfigError("graft.at", path, f"a submodule that is run once in a pass, not {len(outputs)} times")
        _check_features(path, outputs[0], len(example))
    _check_gradients(dials, logits)
    for path in at:
        _check_shadow(module, path, example, answer)
    return {path: output for path, output in runs if isinstance(output, torch.Tensor)}


def _check_features(path: str, output: object, count: int) -> None:
    if not isinstance(output, torch.Tensor) or not output.is_floating_point():
        raise ConfigError("graft.at", f"{path} gives {_words(output)}", "a submodule that returns one tensor of features")
    if output.dim() not in FAMILIES or len(output) != count:
        raise ConfigError("graft.at", f"{path} gives {_words(output)}", f"features [B, C], [B, T, C] or [B, C, H, W] with B = {count}")


def _check_gradients(dials: Mapping[str, torch.Tensor], logits: torch.Tensor) -> None:
    nodes, ahead = set(), [logits.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            ahead += [following for following, _ in node.next_functions]
    for path, dial in dials.items():
        if get_gradient_edge(dial).node not in nodes:
            expected = "a submodule around which nobody turns gradients on or off"
            raise ConfigError("graft.at", f"{path}, to which no gradient of the answer comes", expected)


def _check_shadow(module: nn.Module, path: str, example: torch.Tensor, answer: Answer) -> None:
    """The shadow pass turns gradients on at the place, and whoever sets them back behind it leaves a seed without any."""
    dial = torch.ones((), requires_grad=True)

    def mix(output: torch.Tensor) -> torch.Tensor:
        torch.set_grad_enabled(True)
        return output * dial

    with evaluating(list(module.modules())), torch.no_grad(), _hooked(module, {path: mix}):
        logits = answer(module, example)
    _check_gradients({path: dial}, logits)


def _words(value: object) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__


@contextmanager
def _hooked(module: nn.Module, at: Mapping[str, Callable[[torch.Tensor], torch.Tensor]]) -> Iterator[None]:
    """Within, what each submodule puts out goes through a function first."""

    def hook(through: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[nn.Module, object, torch.Tensor], torch.Tensor]:
        return lambda _module, _inputs, output: through(output)

    handles = [module.get_submodule(path).register_forward_hook(hook(through)) for path, through in at.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
