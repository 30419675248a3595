"""The table of blueprints, in the order in which the heuristic tries those of a family: the cheap ones early."""

from tolaria.host.blueprints.blueprint import Blueprint
from tolaria.host.blueprints.causal_attention import CAUSAL_ATTENTION
from tolaria.host.blueprints.conv_bottleneck import CONV_BOTTLENECK
from tolaria.host.blueprints.conv_heavy import CONV_HEAVY
from tolaria.host.blueprints.conv_light import CONV_LIGHT
from tolaria.host.blueprints.conv_norm import CONV_NORM
from tolaria.host.blueprints.conv_small import CONV_SMALL
from tolaria.host.blueprints.depthwise import DEPTHWISE
from tolaria.host.blueprints.feedforward import FEEDFORWARD
from tolaria.host.blueprints.feedforward_small import FEEDFORWARD_SMALL
from tolaria.host.blueprints.layer_norm import LAYER_NORM
from tolaria.host.blueprints.linear_bottleneck import LINEAR_BOTTLENECK
from tolaria.host.blueprints.lora import LORA
from tolaria.host.blueprints.lora_large import LORA_LARGE
from tolaria.host.blueprints.mlp_norm import MLP_NORM
from tolaria.host.blueprints.residual_mlp import RESIDUAL_MLP
from tolaria.host.blueprints.squeeze_excite import SQUEEZE_EXCITE

BLUEPRINTS: dict[str, Blueprint] = {
    "conv_norm": CONV_NORM,
    "squeeze_excite": SQUEEZE_EXCITE,
    "depthwise": DEPTHWISE,
    "conv_light": CONV_LIGHT,
    "conv_bottleneck": CONV_BOTTLENECK,
    "conv_small": CONV_SMALL,
    "conv_heavy": CONV_HEAVY,
    "mlp_norm": MLP_NORM,
    "linear_bottleneck": LINEAR_BOTTLENECK,
    "residual_mlp": RESIDUAL_MLP,
    "layer_norm": LAYER_NORM,
    "lora": LORA,
    "lora_large": LORA_LARGE,
    "feedforward_small": FEEDFORWARD_SMALL,
    "causal_attention": CAUSAL_ATTENTION,
    "feedforward": FEEDFORWARD,
}
