"""The table of blueprints, the cheaper ones of a family first."""

from tolaria.host.blueprints.blueprint import Blueprint
from tolaria.host.blueprints.conv_bottleneck import CONV_BOTTLENECK
from tolaria.host.blueprints.conv_light import CONV_LIGHT
from tolaria.host.blueprints.conv_norm import CONV_NORM
from tolaria.host.blueprints.depthwise import DEPTHWISE
from tolaria.host.blueprints.linear_bottleneck import LINEAR_BOTTLENECK
from tolaria.host.blueprints.mlp_norm import MLP_NORM
from tolaria.host.blueprints.residual_mlp import RESIDUAL_MLP
from tolaria.host.blueprints.squeeze_excite import SQUEEZE_EXCITE

BLUEPRINTS: dict[str, Blueprint] = {
    "conv_norm": CONV_NORM,
    "squeeze_excite": SQUEEZE_EXCITE,
    "depthwise": DEPTHWISE,
    "conv_light": CONV_LIGHT,
    "conv_bottleneck": CONV_BOTTLENECK,
    "mlp_norm": MLP_NORM,
    "linear_bottleneck": LINEAR_BOTTLENECK,
    "residual_mlp": RESIDUAL_MLP,
}
