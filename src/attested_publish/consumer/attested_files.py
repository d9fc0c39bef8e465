"""Who published a file on an index: its provenance, verified for bytes that are known already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attested_publish.consumer.prover import Invalid
from attested_publish.consumer.verified_cache import Proven, VerifiedCache, key_of
from attested_publish.index.provenance import ProvenanceRefused, provenance_listed
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexProblem, IndexUnusable

if TYPE_CHECKING:
    import requests

    from attested_publish.consumer.persistence import Persistence
    from attested_publish.consumer.prover import Prover
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The index did not answer, or refused to."""

    problem: IndexProblem


Publication = Proven | Invalid | Unanswered | None
"""What a file's provenance comes to; `None` if the index names none."""


@dataclass
class AttestedFiles:
    """Fetches provenance and has it verified, unless it is known from before. Threads may share it.

    Methods raise `SigningProblem` if the root of trust cannot be used.
    """

    index: Index
    session: requests.Session
    prover: Prover
    persistence: Persistence
    cache: VerifiedCache
    _is_root_known: bool = field(default=False)

    def publication(self, project: str, file: IndexFile, sha256: str) -> Publication:
        """Return who published the file with these bytes, which a project's page lists."""
        known = self.known(project, file, sha256)
        if known is not None or file.provenance_url is None:
            return known
        found = self._looked_up(file, sha256)
        if isinstance(found, Proven):
            self._is_root_known = True
            self.cache.put(*self._keys(project, file, sha256), found)
        return found

    def known(self, project: str, file: IndexFile, sha256: str) -> Proven | None:
        """Return who published a file if that is known from before, without asking anybody."""
        if file.provenance_url is None:
            return None
        found = self.cache.get(*self._keys(project, file, sha256))
        self._is_root_known = self._is_root_known or found is not None
        return found

    def _keys(self, project: str, file: IndexFile, sha256: str) -> tuple[str, str]:
        """Return the keys of the project and of the file in the cache."""
        rules = self.prover.rules
        return (
            key_of(rules, self.index.simple_url(project)),
            key_of(rules, file.provenance_url or "", file.filename, sha256),
        )

    def check_root(self) -> None:
        """Make sure that the root of trust can be used, if nothing has shown that."""
        if not self._is_root_known:
            self.prover.check_root()

    def _looked_up(self, file: IndexFile, sha256: str) -> Publication:
        name = shown(file.filename)
        # Meanwhile, if it is the first.
        self.prover.start()
        try:
            served = self.persistence(lambda: provenance_listed(file, self.index, self.session))
        except ProvenanceRefused as problem:
            return Unanswered(problem)
        except IndexUnusable as problem:
            if problem.may_pass and not _is_broken(problem):
                return Unanswered(problem)
            return Invalid(f"The provenance of {name} cannot be used: {problem.cause}.")
        except IndexProblem as problem:
            return Unanswered(problem)
        if served is None:
            return Invalid(f"{self.index.name} names a provenance of {name}, but serves none.")
        return self.prover(served, file.filename, sha256)


def _is_broken(problem: IndexUnusable) -> bool:
    """Whether an answer is garbage, not an error of the server, for which trying again may help."""
    return "is not a JSON object" in problem.detail
