"""Who published a file, as its attestations prove it, and how that differs from somebody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from attested_publish.consumer.look_alikes import differ_only_in_look
from attested_publish.net.untrusted import shown

_HOSTS = {"GitHub": "https://github.com", "GitLab": "https://gitlab.com"}
_WORKFLOWS = ("workflow", "workflow_filepath")


@dataclass(frozen=True, slots=True)
class Identity:
    """A publisher: the fields of its object in PEP 740, `kind` first, without empty ones."""

    fields: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Identity:
        """Return the identity with these fields; two with the same fields are equal."""
        return cls(tuple(sorted(fields.items(), key=lambda item: (item[0] != "kind", item[0]))))

    def as_dict(self) -> dict[str, str]:
        """Return the fields by name."""
        return dict(self.fields)

    def __str__(self) -> str:
        return described(self.as_dict())

    @property
    def url(self) -> str:
        """The address of the repository; empty if it has none that is known."""
        values = self.as_dict()
        host, repository = _HOSTS.get(values.get("kind", "")), values.get("repository")
        return f"{host}/{quote(repository, safe='/')}" if host and repository else ""

    def difference(self, expected: Mapping[str, str]) -> str:
        """Return the first field that differs from the expected ones, in words; else nothing.

        A field that is not expected may have any value. Case counts. GitHub's workflows are all in
        one folder, so that only their names count.
        """
        mine = self.as_dict()
        # Whose repository it is says most.
        for name, wanted in sorted(expected.items(), key=lambda item: item[0] == "environment"):
            key, wanted_value = name, wanted
            if name in _WORKFLOWS:
                key = "workflow" if "workflow" in mine else "workflow_filepath"
                wanted_value = wanted.rpartition("/")[2] if key == "workflow" else wanted
            # An environment that is expected to be empty is none.
            found = mine.get(key, "")
            if found == wanted_value:
                continue
            alike = differ_only_in_look(wanted_value, found)
            return f"{name} {shown(found or 'none', 200)}, not {shown(wanted or 'none', 200)}" + (
                f" ({alike.rstrip('.').replace('They', 'they', 1)})" if alike else ""
            )
        return ""


def described(fields: Mapping[str, str]) -> str:
    """Return a publisher in a few words: its kind, then what identifies it."""
    values = dict(fields)
    kind, environment = values.pop("kind", ""), values.pop("environment", "")
    repository = values.pop("repository", "")
    where = f", environment {environment}" if environment else ""
    return shown(" ".join(filter(None, (kind, repository, *values.values()))) + where, 200)


def named(identities: Iterable[Identity]) -> str:
    """Return several publishers in words."""
    return " and ".join(dict.fromkeys(map(str, identities)))


def why_looks_alike(identity: Identity, others: Iterable[Identity]) -> str:
    """Return how a publisher's repository only looks like that of another, or nothing."""
    mine = identity.as_dict().get("repository", "")
    for other in others:
        if alike := differ_only_in_look(mine, other.as_dict().get("repository", "")):
            return alike
    return ""
