"""Names and one-line descriptions of what can be chosen, readable without loading torch; tests hold them equal to the tables."""

BLUEPRINT_NAMES: dict[str, tuple[str, ...]] = {
    "conv": ("conv_norm", "squeeze_excite", "depthwise", "conv_light", "conv_bottleneck"),
    "mlp": ("mlp_norm", "linear_bottleneck", "residual_mlp"),
}

BLUEPRINT_ABOUT: dict[str, str] = {
    "conv_norm": "group normalisation with its own scale and shift per channel",
    "squeeze_excite": "channel attention from globally pooled features",
    "depthwise": "a 3x3 filter per channel, then a mix of channels",
    "conv_light": "a full 3x3 convolution, then a mix of channels",
    "conv_bottleneck": "a 3x3 convolution inside a quarter of the channels",
    "mlp_norm": "layer normalisation with its own scale and shift per feature",
    "linear_bottleneck": "two linear layers through a quarter of the width",
    "residual_mlp": "two linear layers through twice the width",
}

TASK_ABOUT: dict[str, str] = {
    "digits": "1797 handwritten 8x8 digits on a small convolutional host",
    "digits_impaired": "the same digits on a host that sees one pixel at a time and cannot learn them alone",
    "spirals": "three interleaved spirals in the plane on a small perceptron; milliseconds",
}
