"""What the next photos get, in plain words. Pure."""

from nst_daemon.config import Config, Folder, Originals
from nst_daemon.config.recipe import PreserveColor, Preset, Recipe, resolve
from nst_daemon.page.words import Json

ORIGINALS = {
    Originals.MOVE: "Painted photos move to the archive.",
    Originals.KEEP: "Painted photos stay in the inbox.",
    Originals.DELETE: "Painted photos are deleted.",
}


def outlook(config: Config) -> Json:
    """Return the settings of the next photos, and where they go."""
    return {
        "words": list(words_of(config.folders[0])),
        "folders": [
            {"inbox": str(folder.inbox), "outbox": str(folder.outbox), "style": folder.style}
            for folder in config.folders
        ],
        "style": config.folders[0].style,
        "presets": [str(preset) for preset in Preset],
        "max_upload": config.page.max_bytes,
        "config": str(config.source),
    }


def words_of(folder: Folder) -> list[str]:
    """Return what a photo of an inbox gets where nothing else is asked for, a sentence each."""
    recipe = resolve(folder.set)
    size = "in its own size" if recipe.size == "original" else f"at {recipe.size} px"
    words = [f"Painted {size}, with the preset {recipe.preset}.", f"The style is {folder.style}."]
    if folder.rules:
        count = len(folder.rules)
        words.append(f"{count} rule{'s' * (count > 1)} may choose otherwise, by a photo's folder or name.")
    words += _by_hand(recipe)
    words.append(f"The result is {'as the photo is' if recipe.format == 'same' else recipe.format.upper()}.")
    words.append(ORIGINALS[folder.originals])
    return words


def _by_hand(recipe: Recipe) -> list[str]:
    """Return what differs from the preset, as far as it is seen in a painting."""
    words = []
    if recipe.strength != 1.0:
        words.append(f"The strength is {recipe.strength:g}: 0 is the photo, 1 the painting.")
    if recipe.preserve_color is not PreserveColor.OFF:
        words.append("The photo keeps its colours.")
    if recipe.style_scale != 1.0:
        words.append(f"Strokes are {recipe.style_scale:g} times as large as in the style picture.")
    if recipe.report:
        words.append("A page with photo, style and loss curves is put beside each result.")
    return words
