"""What the next photos get, in plain words, and which inboxes there are for them. Pure."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nst_daemon.config import Config, Folder, Originals
from nst_daemon.config.recipe import PreserveColor, Preset, Recipe, resolve
from nst_daemon.page.answers import RefusedError
from nst_daemon.page.words import SHA, Json

ORIGINALS: Final = {
    Originals.MOVE: "Painted photos move to the archive.",
    Originals.KEEP: "Painted photos stay in the inbox.",
    Originals.DELETE: "Painted photos are deleted.",
}


def outlook(config: Config) -> Json:
    """Return the settings of the next photos, of each inbox, and where they go."""
    names = short_names([folder.inbox for folder in config.folders])
    return {
        "folders": [
            {
                "id": id_of(folder),
                "name": name,
                "inbox": str(folder.inbox),
                "outbox": str(folder.outbox),
                "style": folder.style,
                "words": words_of(folder),
            }
            for folder, name in zip(config.folders, names, strict=True)
        ],
        "presets": [str(preset) for preset in Preset],
        "max_upload": config.page.max_bytes,
        "config": str(config.source),
    }


def id_of(folder: Folder) -> str:
    """Return by what the page calls an inbox: no path of a disk comes from a request."""
    return hashlib.sha256(os.fsencode(folder.inbox)).hexdigest()[:SHA]


def folder_asked_for(query: Mapping[str, str], config: Config) -> Folder:
    """Return the folder whose inbox a browser has chosen, the first where it says none.

    Raises:
        RefusedError: it is in the config no more.
    """
    wanted = query.get("inbox")
    if not wanted:
        return config.folders[0]
    found = next((folder for folder in config.folders if id_of(folder) == wanted), None)
    if found is None:
        raise RefusedError(409, "This inbox is no more.", "Load the page anew, and choose another.")
    return found


def short_names(paths: list[Path]) -> list[str]:
    """Return the last parts of paths, as many as tell them apart."""
    for count in range(1, max(len(path.parts) for path in paths)):
        names = [str(Path(*path.parts[-count:])) for path in paths]
        if len(set(names)) == len(paths):
            return names
    return [str(path) for path in paths]


def words_of(folder: Folder) -> list[str]:
    """Return what a photo of an inbox gets where nothing else is asked for, a sentence each."""
    recipe = resolve(folder.set)
    size = "in its own size" if recipe.size == "original" else f"at {recipe.size} px"
    words = [f"Painted {size}, with the preset {recipe.preset}.", f"The style is {folder.style}."]
    if folder.rules:
        count = len(folder.rules)
        words.append(f"{count} rule{'s' * (count > 1)} may choose otherwise, by a photo's folder or name.")
    words += _by_hand(recipe)
    is_same = recipe.format == "same"
    words.append(f"The result is {'in the format of the photo' if is_same else recipe.format.upper()}.")
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
