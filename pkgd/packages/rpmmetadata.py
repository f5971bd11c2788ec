"""The metadata of an rpm repository: repomd.xml and what it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from pkgd.formats.repodata import RepomdEntry, repomd
from pkgd.packages.composing import Composition
from pkgd.packages.drafts import Draft, Published
from pkgd.packages.forms import SUFFIXES
from pkgd.packages.generations import FileRef
from pkgd.packages.indices import Index
from pkgd.packages.leaves import Edits, Shape
from pkgd.packages.records import RpmSettings
from pkgd.packages.rpmextras import EXTRAS
from pkgd.packages.rpmindices import PACKAGES, FragmentShape, WholeShape
from pkgd.packages.signing import Signer

__all__ = ["RpmMetadata", "extra_slot", "repo_file"]

_EXTRA = "extra/"


def extra_slot(kind: str) -> str:
    """What the index of a document that was uploaded is called."""
    return _EXTRA + kind


def repo_file(name: str, url: str, are_signed: bool, by_mirrorlist: bool) -> bytes:
    """`pkgd.repo`, for dnf, yum and zypper.

    :param by_mirrorlist: whether the client asks anew which generation is the current one whenever it refreshes.
    :param are_signed: whether all packages are sure to be signed with keys that key.asc has.
    """
    lines = (
        f"[pkgd-{name.replace('/', '-')}]",
        f"name=pkgd {name}",
        f"mirrorlist={url}/mirrorlist" if by_mirrorlist else f"baseurl={url}/",
        "enabled=1",
        "autorefresh=1",
        "metadata_expire=60",
        "repo_gpgcheck=1",
        f"gpgcheck={int(are_signed)}",
        f"gpgkey={url}/key.asc",
        "",
    )
    return "\n".join(lines).encode()


class RpmMetadata:
    """Implements `Composer`."""

    def __init__(self, settings: RpmSettings, signer: Signer) -> None:
        self.shape: Shape = FragmentShape((settings.form,))
        self._whole: Shape = WholeShape((settings.form,))
        self._form = settings.form
        self._signer = signer

    def required(self) -> Iterable[str]:
        """See `Composer.required`."""
        return (PACKAGES,)

    def is_whole(self, slot: str) -> bool:
        """See `Composer.is_whole`."""
        return slot.startswith(_EXTRA)

    def shape_of(self, slot: str) -> Shape:
        """See `Composer.shape_of`."""
        return self._whole if self.is_whole(slot) else self.shape

    def marks(self) -> str:
        """See `Composer.marks`."""
        return hashlib.sha256(repr((self._form, self._signer.public_keys())).encode()).hexdigest()

    async def derive(self, published: Published, draft: Draft) -> Mapping[str, Edits | None]:
        """See `Composer.derive`: there are none."""
        return {}

    async def compose(self, number: int, date: int, indices: Mapping[str, Index]) -> Composition:
        """See `Composer.compose`."""
        files, entries = {}, []
        for slot in (PACKAGES, *(extra_slot(kind) for kind in EXTRAS)):
            if slot not in indices:
                continue
            index = indices[slot]
            kind = slot.removeprefix(_EXTRA)
            for part in index.parts:
                # A document of another setting stays as it was compressed.
                form = index.forms[0]
                one, plain = index.files[part, form], index.files[part, ""]
                name = EXTRAS.get(kind, f"{part}.xml")
                path = f"repodata/{one.sha256}-{name}{SUFFIXES[form]}"
                files[path] = FileRef(index.name, part, form, one.size, one.sha256)
                entries.append(RepomdEntry(part or kind, path, date, one.size, one.sha256, plain.size, plain.sha256))
        text = repomd(str(number), entries)
        documents = {
            "repodata/repomd.xml": text,
            "repodata/repomd.xml.asc": await self._signer.detach(text),
            "repodata/repomd.xml.key": self._signer.public_keys(),
        }
        return Composition(files, documents)
