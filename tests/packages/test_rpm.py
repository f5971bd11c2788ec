"""What an rpm repository publishes, read by a reader that shares nothing with it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import AlreadyExists, InvalidPackage, SigningError, UnknownPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.openpgp import rpm_header_signature
from pkgd.formats.rpm import read_rpm
from pkgd.packages.records import RpmSettings
from pkgd.packages.rpm import RpmRepository
from tests.formats.openpgp.keyfiles import key
from tests.formats.rpms import binary, int32, reader, rpm, string
from tests.packages.fixtures import NOW, FakeSigner, Ground, result
from tests.packages.readers import read_rpm_repository

_DAY = 24 * 3600


def made_rpm(name: str = "hello", version: str = "1.0", arch: str = "x86_64", **more: Any) -> bytes:
    """A package of rpm."""
    values = {tags.NAME: string(name), tags.VERSION: string(version), tags.ARCH: string(arch)}
    return rpm(values, **more)


class RpmCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.ground = Ground(self.mktemp())
        self.repository = self.made()

    def made(self, name: str = "internal/el9", **more: Any) -> RpmRepository:
        """The repository as a start finds it."""
        ground = self.ground
        repository = RpmRepository(
            RpmSettings(name=name, **more),
            ground.store,
            ground.spool,
            ground.blocking,
            ground.signer,
            ground.clock,
            ground.signer,
        )
        result(repository.start())
        return repository

    def add(self, data: bytes) -> Any:
        return result(self.repository.add(self.ground.arrival("x.rpm", data)))

    def fetch(self, path: str) -> bytes:
        return self.ground.read(result(self.repository.open(path)))

    def packages(self, prefix: str = "") -> list[str]:
        """Their pkgids; all three documents have the same, in one order."""
        found = read_rpm_repository(self.fetch, prefix)
        self.assertEqual(found["primary"], found["filelists"])
        self.assertEqual(found["primary"], found["other"])
        return found["primary"]

    def files(self) -> list[str]:
        return sorted(key for key in self.ground.store.objects if "/Packages/" in key)  # type: ignore[attr-defined]


class RpmPublishingTests(RpmCase):
    """Uploads, and what clients read then."""

    def test_an_empty_repository_is_published_at_the_first_start(self) -> None:
        """`dnf makecache` works before anything has been uploaded."""
        self.assertEqual(self.packages(), [])
        self.assertEqual(self.repository.generation, 1)

    def test_a_package_is_listed(self) -> None:
        """Once `add` returns, metadata and file are there."""
        data = made_rpm()
        added = self.add(data)
        self.assertTrue(added.created)
        self.assertEqual(added.path, f"Packages/h/{added.sha256[:12]}/hello-1.0-1.x86_64.rpm")
        self.assertEqual(self.fetch(added.path), data)
        self.assertEqual(self.packages(), [added.sha256])

    def test_the_other_compression_is_read_too(self) -> None:
        """One repository has one."""
        self.repository = self.made("other", form="zst")
        self.add(made_rpm())
        self.assertEqual(len(self.packages()), 1)
        self.assertIn(b"primary.xml.zst", self.fetch("repodata/repomd.xml"))

    def test_many_packages_fill_many_leaves(self) -> None:
        """All three documents are cut at the same packages."""
        added = [self.add(made_rpm(f"package{number:03}")).sha256 for number in reversed(range(270))]
        self.assertEqual(self.packages(), added[::-1])

    def test_the_same_bytes_again_are_no_new_package(self) -> None:
        """A repeated upload is answered like the first."""
        self.add(made_rpm())
        again = self.add(made_rpm())
        self.assertEqual((again.created, again.generation), (False, 2))

    def test_other_bytes_of_one_version_are_refused(self) -> None:
        """And nothing of them stays."""
        self.add(made_rpm())
        with self.assertRaises(AlreadyExists):
            self.add(made_rpm(payload=b"other"))
        self.assertEqual(len(self.files()), 1)

    def test_a_package_that_is_not_what_it_says_is_refused(self) -> None:
        """Its digests are checked."""
        with self.assertRaises(InvalidPackage):
            self.add(made_rpm()[:-1] + b"!")
        self.assertEqual(self.files(), [])

    def test_a_failing_signer_publishes_nothing(self) -> None:
        """The upload fails, and its file goes."""
        self.ground.signer.broken = True
        with self.assertRaises(SigningError):
            self.add(made_rpm())
        self.assertEqual((self.packages(), self.files()), ([], []))

    def test_a_removed_package_is_gone(self) -> None:
        """By its path, or the name of its file."""
        path = self.add(made_rpm("two-words")).path
        other = self.add(made_rpm()).sha256
        result(self.repository.remove(path))
        self.assertEqual(self.packages(), [other])
        removed = result(self.repository.remove("hello-1.0-1.x86_64.rpm"))
        self.assertEqual([one.sha256 for one in removed.packages], [other])
        with self.assertRaises(UnknownPackage):
            result(self.repository.remove(path))

    def test_listings_say_what_there_is(self) -> None:
        """With the version as rpm writes it."""
        self.add(rpm({tags.NAME: string("hello"), tags.EPOCH: int32(3)}))
        self.add(made_rpm("other"))
        found = result(self.repository.list("hello"))
        self.assertEqual([(one.name, one.version) for one in found], [("hello", "3:1.0-1")])
        self.assertEqual(len(result(self.repository.list())), 2)

    def test_names_of_repositories_do_not_run_into_each_other(self) -> None:
        """Whatever their parts are."""
        outer, inner = self.made("a"), self.made("a/leaves")
        result(outer.add(self.ground.arrival("x.rpm", made_rpm())))
        result(self.made("a/leaves").add(self.ground.arrival("x.rpm", made_rpm("inner"))))
        self.assertEqual([one.name for one in result(self.made("a").list())], ["hello"])
        self.assertEqual(inner.generation, 1)


class RpmGenerationTests(RpmCase):
    """What stays for clients that hold an old repomd.xml, and how they are led to one whole generation."""

    def test_the_mirrorlist_names_the_current_generation(self) -> None:
        """Which is whole for as long as it is kept, after a restart, too."""
        first = self.add(made_rpm()).sha256
        self.assertEqual(self.repository.mirrorlist("http://host/rpm/a"), b"http://host/rpm/a/@2/\n")
        self.add(made_rpm("other"))
        self.repository = self.made()
        self.assertEqual(self.packages("@2/"), [first])

    def test_old_metadata_is_found_by_its_name(self) -> None:
        """By clients that read repomd.xml before."""
        self.add(made_rpm())
        names = [path for path in self.fetch("repodata/repomd.xml").decode().split('"') if path.endswith(".gz")]
        self.add(made_rpm("other"))
        self.assertEqual(len(names), 3)
        for name in names:
            self.assertTrue(self.fetch(name))

    def test_the_repo_file_checks_packages_only_where_they_are_signed(self) -> None:
        """The metadata always."""
        text = self.repository.repo_file("http://host/rpm/internal/el9")
        self.assertIn(b"\ngpgcheck=0\n", text)
        self.assertIn(b"\nrepo_gpgcheck=1\n", text)
        self.assertIn(b"\nmirrorlist=http://host/rpm/internal/el9/mirrorlist\n", text)
        self.repository = self.made("other", sign_packages="require")
        self.assertIn(b"\ngpgcheck=1\n", self.repository.repo_file("http://host/rpm/other"))


class RpmSigningTests(RpmCase):
    """`sign_packages`."""

    def test_unsigned_packages_are_refused_where_signatures_are_required(self) -> None:
        """Signatures by other keys count as none, and so do those of other packages in our key's name."""
        self.repository = self.made("strict", sign_packages="require")
        with self.assertRaises(InvalidPackage):
            self.add(made_rpm())
        for packet in (self.signature(b"other"), self.signature(name="pkgd-rsa3072")):
            with self.assertRaises(InvalidPackage):
                self.add(made_rpm(signatures={tags.SIG_DSA: binary(packet)}))
        self.assertEqual((self.packages(), self.files()), ([], []))
        self.assertTrue(self.add(made_rpm(signatures={tags.SIG_DSA: binary(self.signature())})).created)

    def test_where_keys_cannot_be_read_nobody_is_told_that_a_signature_is_wrong(self) -> None:
        """It is the server's fault."""
        self.repository = self.made("strict", sign_packages="require")
        self.ground.signer.broken = True
        with self.assertRaises(SigningError):
            self.add(made_rpm())

    def test_a_false_signature_is_replaced_where_packages_are_signed(self) -> None:
        """It does not count because it names our key."""
        self.repository = self.made("signed", sign_packages="sign")
        data = self.fetch(self.add(made_rpm(signatures={tags.SIG_DSA: binary(self.signature(b"other"))})).path)
        self.assertEqual(read_rpm(reader(data), len(data)).signatures[0].packet, self.signature())

    def test_clients_check_packages_only_if_all_are_signed(self) -> None:
        """Also after a restart: not before those are gone that came before it was required; not by other keys."""

        def checks() -> bool:
            return b"\ngpgcheck=1\n" in self.repository.repo_file("http://host/rpm/one")

        self.repository = self.made("one")
        self.add(made_rpm("unsigned"))
        self.assertFalse(checks())
        self.repository = self.made("one", sign_packages="require")
        self.assertFalse(checks())
        self.add(made_rpm(signatures={tags.SIG_DSA: binary(self.signature())}))
        self.assertFalse(checks())
        result(self.repository.remove("hello-1.0-1.x86_64.rpm"))
        result(self.repository.remove("unsigned-1.0-1.x86_64.rpm"))
        self.assertTrue(checks())
        self.add(made_rpm(signatures={tags.SIG_DSA: binary(self.signature())}))
        self.repository = self.made("one", sign_packages="require")
        self.assertTrue(checks())
        self.ground.signer.rpm_key = key("pkgd-rsa3072")
        self.assertFalse(checks())

    def signature(self, content: bytes | None = None, name: str = "pkgd-ed25519") -> bytes:
        """Of the header of `made_rpm()`, or of something else."""
        data = made_rpm()
        package = read_rpm(reader(data), len(data))
        header = data[package.header_start : package.header_end]
        return rpm_header_signature(key(name), header if content is None else content, NOW)

    def test_packages_are_signed_where_that_is_wanted(self) -> None:
        """The file that is served is listed, and its signature is of its header."""
        self.repository = self.made("signed", sign_packages="sign")
        added = self.add(made_rpm())
        data = self.fetch(added.path)
        package = read_rpm(reader(data), len(data))
        header = data[package.header_start : package.header_end]
        self.assertEqual(package.signatures[0].packet, result(FakeSigner().sign_header(header)))
        self.assertEqual(self.packages(), [added.sha256])

    def test_the_same_upload_is_signed_once(self) -> None:
        """Though a signature would differ each time, the package is the same."""
        self.repository = self.made("signed", sign_packages="sign")
        added = self.add(made_rpm())
        again = self.add(made_rpm())
        self.assertEqual((again.sha256, again.created), (added.sha256, False))
        with self.assertRaises(AlreadyExists):
            self.add(made_rpm(payload=b"other"))

    def test_nothing_stays_in_the_spool(self) -> None:
        """But what the caller removes."""
        self.repository = self.made("signed", sign_packages="sign")
        arrival = self.ground.arrival("x.rpm", made_rpm())
        result(self.repository.add(arrival))
        left = self.ground.tree.fs.scandir(self.ground.tree.path("spool/fills"))
        self.assertEqual([name for name, _ in left], [arrival.staged.path.rpartition("/")[2]])
