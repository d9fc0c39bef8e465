"""What a job of GitHub's may do with its token, and where that is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from attested_publish.setup.documents import Table, Text, Value
from attested_publish.setup.jobs import Spot

_IDENTITY = "id-token"


@dataclass(frozen=True)
class Permissions:
    """The levels that were given, by name; `everything` is the level of `write-all`, `read-all`."""

    spot: Spot
    everything: str = ""
    levels: Mapping[str, tuple[str, Spot]] = field(default_factory=dict)

    @classmethod
    def read(cls, value: Value | None, file: str) -> Permissions | None:
        """Read `permissions:`; `None` if there is none."""
        match value:
            case None:
                return None
            case Text() as text:
                level = text.text.partition("-")[0] if text.text.endswith("-all") else ""
                return cls(Spot(file, text.line), level)
            case Table() as table:
                levels = {
                    key.text: (level.text, Spot(file, key.line))
                    for key, level in table.pairs
                    if isinstance(level, Text)
                }
                return cls(Spot(file, table.line), "", levels)
            case _:
                return cls(Spot(file, value.line))

    @property
    def has_identity(self) -> bool:
        """Whether a job with it may ask for an identity token."""
        return self.everything == "write" or self.levels.get(_IDENTITY, ("",))[0] == "write"

    def identity_spot(self) -> Spot:
        """Where the permission to ask for an identity token is."""
        return self.levels[_IDENTITY][1] if _IDENTITY in self.levels else self.spot

    def wide(self) -> Iterator[tuple[str, Spot]]:
        """Yield what a publishing job does not need: what it is, and where."""
        if self.everything == "write":
            yield "write-all", self.spot
        for name, (level, spot) in self.levels.items():
            if level == "write" and name != _IDENTITY:
                yield f"{name}: write", spot
