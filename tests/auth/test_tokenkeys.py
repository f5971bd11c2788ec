"""The keys of tokens: made once, changed in time, private, and an operator's own in their place."""

from __future__ import annotations

import os
import stat

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.tokenkeys import ROTATION, Algorithm, TokenKey, TokenKeys
from pkgd.errors import ConfigError

ALGORITHMS: tuple[Algorithm, ...] = ("EdDSA", "ES256", "HS256")


class KeyCase(SynchronousTestCase):
    """A state directory, and a clock."""

    def setUp(self) -> None:
        """Noon of some day."""
        self.clock = Clock()
        self.clock.advance(1_750_000_000.0)
        self.state = self.mktemp()
        os.makedirs(self.state)
        self.directory = os.path.join(self.state, "token-keys")

    def keys(self, algorithm: Algorithm = "EdDSA", file: str | None = None) -> TokenKeys:
        """The keys as a start finds them."""
        found = TokenKeys(self.directory, algorithm, file, self.clock.seconds)
        found.use(found.refresh())
        return found

    def current(self, found: TokenKeys) -> str:
        """The id of the key that signs."""
        assert found.current is not None
        return found.current.kid

    def file(self, data: bytes, mode: int = 0o600) -> str:
        """A file of the operator's."""
        path = os.path.join(self.state, "own.pem")
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        return path


class DirectoryTests(KeyCase):
    """Keys that are made by themselves."""

    def test_made_once(self) -> None:
        """The first start makes one, and later ones find it, whatever the algorithm."""
        for algorithm in ALGORITHMS:
            self.directory = os.path.join(self.state, algorithm)
            made = self.keys(algorithm)
            self.assertEqual(self.current(self.keys(algorithm)), self.current(made))

    def test_private(self) -> None:
        """Directory and file are for nobody else; one that is open to others is refused."""
        self.keys()
        (name,) = os.listdir(self.directory)
        path = os.path.join(self.directory, name)
        modes = [stat.S_IMODE(os.stat(one).st_mode) for one in (self.directory, path)]
        self.assertEqual(modes, [0o700, 0o600])

        for one, mode in ((path, 0o640), (self.directory, 0o701)):
            before = stat.S_IMODE(os.stat(one).st_mode)
            os.chmod(one, mode)
            self.assertRaises(ConfigError, self.keys)
            os.chmod(one, before)

    def test_rotation(self) -> None:
        """After its time a new key signs; the one before stays, the one before that goes."""
        ids = []
        for _ in range(3):
            found = self.keys()
            ids.append(self.current(found))
            self.clock.advance(ROTATION)

        self.assertEqual(len(set(ids)), 3)
        self.assertEqual(list(found.known), [ids[2], ids[1]])
        self.clock.advance(-1)
        self.assertEqual(len(os.listdir(self.directory)), 3)
        self.keys()
        self.assertEqual(len(os.listdir(self.directory)), 2)

    def test_running(self) -> None:
        """A daemon that runs for long changes keys without a start."""
        found = self.keys()
        before = self.current(found)
        self.clock.advance(ROTATION)

        found.use(found.refresh())

        self.assertNotEqual(self.current(found), before)
        self.assertIn(before, found.known)

    def test_clock_set_back(self) -> None:
        """A key from far in the future is of a wrong clock, and is not kept for all that time."""
        self.clock.advance(10 * ROTATION)
        before = self.current(self.keys())
        self.clock.advance(-10 * ROTATION)

        self.assertNotEqual(self.current(self.keys()), before)

    def test_other_files(self) -> None:
        """What does not belong there is left alone, and so is a key that a crash left unfinished."""
        found = self.current(self.keys())
        for name in ("readme", f"{self.clock.seconds():.0f}-abcdefghijklmnop.pem.new"):
            with open(os.path.join(self.directory, name), "w", encoding="ascii") as file:
                file.write("no key")

        self.assertEqual(self.current(self.keys()), found)

    def test_damaged(self) -> None:
        """A damaged key is an error that names it; nothing is put in its place."""
        self.keys()
        (name,) = os.listdir(self.directory)
        with open(os.path.join(self.directory, name), "wb"):
            pass

        error: ConfigError = self.assertRaises(ConfigError, self.keys)
        self.assertIn(name, error.reason)


class OwnTests(KeyCase):
    """`auth.token.signing_key_file`."""

    def test_own(self) -> None:
        """A key of the operator's is used, and none is made."""
        for algorithm in ALGORITHMS:
            key = TokenKey.generate(algorithm)
            found = self.keys(algorithm, self.file(key.export()))
            self.assertEqual(self.current(found), key.kid)
        self.assertFalse(os.path.exists(self.directory))

    def test_changed(self) -> None:
        """Once the file has another, that one signs, and tokens of the one before stay good."""
        found = self.keys(file=self.file(TokenKey.generate("EdDSA").export()))
        before = self.current(found)
        self.file(TokenKey.generate("EdDSA").export())

        found.use(found.refresh())

        self.assertEqual(list(found.known), [self.current(found), before])

    def test_refused(self) -> None:
        """No key, one of another kind, a protected or a short one, or one that others may read, is refused."""
        curve, other = ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)
        plain, form = NoEncryption(), PrivateFormat.PKCS8
        protected = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, form, BestAvailableEncryption(b"x")
        )
        cases: list[tuple[Algorithm, bytes]] = [
            ("EdDSA", b""),
            ("EdDSA", b"-----BEGIN PRIVATE KEY-----\n"),
            ("EdDSA", TokenKey.generate("ES256").export()),
            ("ES256", TokenKey.generate("EdDSA").export()),
            ("ES256", curve.private_bytes(Encoding.PEM, form, plain)),
            ("ES256", other.private_bytes(Encoding.PEM, form, plain)),
            ("ES256", protected),
            ("HS256", b"short"),
        ]
        for algorithm, data in cases:
            error: ConfigError = self.assertRaises(ConfigError, self.keys, algorithm, self.file(data))
            self.assertEqual(error.path, "auth.token.signing_key_file")
        path = self.file(TokenKey.generate("EdDSA").export(), 0o644)
        self.assertRaises(ConfigError, self.keys, "EdDSA", path)
        self.assertRaises(ConfigError, self.keys, "EdDSA", f"{path}.no")


class JwksTests(KeyCase):
    """`/auth/jwks`."""

    def test_public(self) -> None:
        """The public keys have what others need, and nothing private."""
        for algorithm, kind in (("EdDSA", "OKP"), ("ES256", "EC")):
            key = TokenKey.generate(algorithm)  # type: ignore[arg-type]
            found = key.public()
            assert found is not None
            self.assertEqual((found["kty"], found["kid"], found["alg"]), (kind, key.kid, algorithm))
            self.assertNotIn("d", found)

    def test_secret(self) -> None:
        """A secret is nobody else's."""
        found = TokenKeys(self.directory, "HS256", None, self.clock.seconds)
        found.use([TokenKey.generate("HS256")])

        self.assertEqual(found.jwks(), {"keys": []})
        self.assertNotIn("secret", repr(TokenKey.of("HS256", b"secret" * 8)))
