"""Write what the docs take from the code: `config.example.yaml`, and the tables in `docs/config.md`.

Run it after a key, a default or a setting changed: `python tools/write_docs.py`. `tests/project/test_docs.py`
fails until then.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nst_daemon.config import EngineConfig, FarmConfig, Page, Watch, keys_of
from nst_daemon.config.example import SHOWN, WHY, default, example, spell
from nst_daemon.config.model import ConfigText
from nst_daemon.config.recipe import PRESETS, Preset, Recipe
from nst_daemon.config.refusals import allowed

ROOT = Path(__file__).parent.parent
PARTS: dict[str, type] = {
    "": ConfigText,
    "watch": Watch,
    "engine": EngineConfig,
    "page": Page,
    "farm": FarmConfig,
    "set": Recipe,
}
OPEN = {
    "folders": "a list",
    "rules": "a list",
    "set": "settings",
    "watch": "keys below",
    "engine": "keys below",
    "page": "keys below",
    "farm": "keys below",
}
LAYERS = "layers of VGG19: `relu1_1` to `relu5_4`, `conv1_1` to `conv5_4`, `conv_1` to `conv_16`"


def table(section: str) -> str:
    """Return the table of one part of the config: key, default, what is allowed, why."""
    lines = ["| key | default | allowed | |", "|---|---|---|---|"]
    lines += [_row(section, key) for key in keys_of(section)]
    return "\n".join(lines)


def _row(section: str, key: str) -> str:
    part = PARTS[section]
    shown = spell(SHOWN.get(key, default(part, key)) if not section else default(part, key))
    value = f"`{shown}`" if shown and key not in ("inbox", "outbox") and key not in OPEN else ""
    name = f"{section}.{key}" if section else key
    return f"| `{key}` | {value} | {_allowed(part, key)} | {WHY[name]} |".replace("  ", " ")


def _allowed(part: Any, key: str) -> str:
    if part is ConfigText and key in OPEN:
        return OPEN[key]
    if key.endswith("_layers"):
        return LAYERS
    words = allowed(part, (key,))
    return "a path" if part is ConfigText and words == "text" and key != "style" else words


def presets() -> str:
    """Return the table of what each preset sets otherwise than `balanced`."""
    usual = PRESETS[Preset.BALANCED].as_settings()
    lines = ["| preset | differs from `balanced` in |", "|---|---|"]
    for name, recipe in PRESETS.items():
        changed = {k: v for k, v in recipe.as_settings().items() if v != usual[k] and k != "preset"}
        words = ", ".join(f"`{key}: {spell(value)}`" for key, value in changed.items())
        lines.append(f"| `{name}` | {words or '–'} |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """Return docs/config.md with its tables as the code has them."""
    for name, made in tables():
        text = re.sub(
            rf"(<!-- table: {name} -->\n).*?(<!-- end -->)",
            lambda found, made=made: f"{found[1]}{made}\n{found[2]}",  # type: ignore[misc]
            text,
            flags=re.S,
        )
    return text


def tables() -> Iterator[tuple[str, str]]:
    """Yield every table with its name."""
    yield from ((section or "top", table(section)) for section in PARTS)
    yield "presets", presets()


def main() -> None:
    """Write both files."""
    (ROOT / "config.example.yaml").write_text(example(), encoding="utf-8")
    docs = ROOT / "docs" / "config.md"
    docs.write_text(with_tables(docs.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
