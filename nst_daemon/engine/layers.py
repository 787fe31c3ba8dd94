"""What a layer's name, such as `relu4_1`, says of its maps. Pure: no torch."""


def halvings_of(layer: str) -> int:
    """Return how many poolings lie before a layer: none before block 1."""
    block = int(layer[len("relu")])  # names are checked where a recipe is made: kind, block, convolution
    return block - 1


def stride_of(layer: str) -> int:
    """Return how many px an entry of a layer's map stands for."""
    return 1 << halvings_of(layer)


def map_size(layer: str, width: int, height: int) -> tuple[int, int]:
    """Return rows and columns of a layer's map of a picture of `width` x `height` px: poolings round down."""
    return height >> halvings_of(layer), width >> halvings_of(layer)
