"""What a layer's name, such as `relu4_1`, says of its maps. Pure: no torch."""

from nst_daemon.config.recipe import CONVS_IN_BLOCK


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


def field_of_view(layer: str) -> int:
    """Return how many px wide and high is what one entry of a layer's map sees, e.g. 68 at relu4_1."""
    halvings, conv = halvings_of(layer), int(layer.rpartition("_")[2])
    seen = 1
    for block, convs in enumerate(CONVS_IN_BLOCK[: halvings + 1]):
        if block:
            seen += 2 ** (block - 1)  # the pooling before it: one entry beside each
        seen += 2 * 2**block * (conv if block == halvings else convs)  # 3 x 3: one entry at either side
    return seen
