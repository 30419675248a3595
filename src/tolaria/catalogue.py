"""Names and one-line descriptions of what can be chosen, readable without loading torch; tests hold them equal to the tables."""

BLUEPRINT_NAMES: dict[str, tuple[str, ...]] = {
    "conv": ("conv_norm", "squeeze_excite", "depthwise", "conv_light", "conv_bottleneck", "conv_small", "conv_heavy"),
    "mlp": ("mlp_norm", "linear_bottleneck", "residual_mlp"),
    "transformer": ("layer_norm", "lora", "lora_large", "feedforward_small", "causal_attention", "feedforward"),
}

BLUEPRINT_ABOUT: dict[str, str] = {
    "conv_norm": "group normalisation with its own scale and shift per channel",
    "squeeze_excite": "channel attention from globally pooled features",
    "depthwise": "a 3x3 filter per channel, then a mix of channels",
    "conv_light": "a full 3x3 convolution, then a mix of channels",
    "conv_bottleneck": "a 3x3 convolution inside a quarter of the channels",
    "conv_small": "a 1x1 convolution: a mix of channels that sees no neighbour",
    "conv_heavy": "two full 3x3 convolutions, which see five pixels far",
    "mlp_norm": "layer normalisation with its own scale and shift per feature",
    "linear_bottleneck": "two linear layers through a quarter of the width",
    "residual_mlp": "two linear layers through twice the width",
    "layer_norm": "layer normalisation with its own scale and shift per feature",
    "lora": "a linear map of rank 8 on every token",
    "lora_large": "a linear map of rank 32 on every token",
    "feedforward_small": "two linear layers through twice the width, on every token",
    "causal_attention": "attention to the tokens before, in up to four heads",
    "feedforward": "two linear layers through four times the width, on every token",
}

FOLDER_TASK_NAMES = ("cifar10",)

TASK_ABOUT: dict[str, str] = {
    "digits": "1797 handwritten 8x8 digits on a small convolutional host",
    "digits_impaired": "the same digits on a host that sees one pixel at a time and cannot learn them alone",
    "spirals": "three interleaved spirals in the plane on a small perceptron; milliseconds",
    "spirals_impaired": "the same spirals on a host that draws straight lines and cannot learn them alone",
    "pydoc_lm": "the next character of Python's own manual on a small transformer; real text without a download",
    "stdlib_lm": "the next character of the standard library's sources on a larger transformer",
    "wide": "digits, enlarged, on a perceptron as wide as one likes, --width N: up to a billion parameters",
    "cifar10": "60000 colour images of 32x32 pixels on a convolutional host; from a folder, --data DIR",
}
