"""What a layer's name, such as `relu4_1`, says of its maps. Pure: no torch."""

from collections.abc import Sequence
from typing import Final

from nst_daemon.config.recipe import CONVS_IN_BLOCK, LAYERS

# px. Four poolings must halve a tile as they halve the whole picture: 16. Winograd's tiles of 4 entries must
# lie alike too, or rounding breaks ties of the poolings in another way: 32 for all but the last block.
ALIGNMENT: Final = 32
MOST: Final = 1 / 4  # of the style picture's longer side, that a layer may see at once
FIGURE: Final = 1 / 16  # of it: an eye; a layer that sees less sees no figure


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


def depth_of(layers: Sequence[str]) -> int:
    """Return how many convolutions it takes to reach the deepest of `layers`."""
    return max(map(depth_of_layer, layers), default=0)


def depth_of_layer(layer: str) -> int:
    """Return how many convolutions it takes to reach a layer."""
    return LAYERS.index(layer) // 2 + 1


def halos_of(layers: Sequence[str]) -> tuple[int, ...]:
    """Return how many px beyond its own the deepest layer needs of each block's maps, down to its own block.

    Each is rounded up to the alignment, e.g. 64, 64, 32, 32 for relu4_2.
    """
    deepest = max(layers, key=depth_of_layer)
    halvings, conv = halvings_of(deepest), int(deepest.rpartition("_")[2])
    convs = (*CONVS_IN_BLOCK[:halvings], conv)
    # Poolings reach nothing beyond: tiles are aligned to them.
    reaches = [
        sum(each << block for block, each in enumerate(convs) if block >= first)
        for first in range(len(convs))
    ]
    return tuple(-(-reach // ALIGNMENT) * ALIGNMENT for reach in reaches)


def halo_of(layers: Sequence[str]) -> int:
    """Return how many px beyond its own the deepest layer sees, rounded up to the alignment."""
    return halos_of(layers)[0]


def layers_of_paint(layers: Sequence[str], longer: int) -> tuple[str, ...]:
    """Return the style layers that count where the style picture is shown `longer` px wide or high.

    At least one: the one that sees least.
    """
    kept = tuple(layer for layer in layers if field_of_view(layer) <= MOST * longer)
    return kept or (min(layers, key=field_of_view),)


def sees_figures(layer: str, longer: int) -> bool:
    """Return whether a figure fits into what a layer sees at once of a picture of `longer` px."""
    return field_of_view(layer) >= FIGURE * longer
