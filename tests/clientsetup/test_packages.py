"""Package managers and uploads: the files and commands of each, to the letter."""

from __future__ import annotations

import yaml
from twisted.trial.unittest import SynchronousTestCase

from pkgd.clientsetup.model import Commands, File, Lines, Login, Part, Target
from pkgd.clientsetup.packages import apt, curl, dnf, dput, gitlab_ci, served_repo, served_sources, zypper

OPEN = Target("https://pkg.example.com", apt="internal", rpm="internal/el9")
KEY = Target("https://pkg.example.com", Login("key"), apt="internal", rpm="internal/el9")
SERVED = "Types: deb\n"


def files(parts: list[Part]) -> dict[str, File]:
    """The files of a set-up, by their paths."""
    return {one.path: one for one in parts if isinstance(one, File)}


def typed(parts: list[Part]) -> str:
    """What is typed."""
    return "".join(one.text for one in parts if isinstance(one, Commands))


class ReadingTests(SynchronousTestCase):
    """apt, dnf and zypper."""

    def test_served(self) -> None:
        """What only the server knows, its keys among it, is at these paths."""
        self.assertEqual(served_sources(OPEN), "/apt/internal/stable.sources")
        self.assertEqual(served_repo(OPEN), "/rpm/internal/el9/pkgd.repo")

    def test_apt(self) -> None:
        """What is served, under a line that says where it belongs; everybody may read it."""
        (file,) = files(apt(OPEN, SERVED)).values()
        path = "/etc/apt/sources.list.d/internal.sources"
        self.assertEqual(file, File(path, f"# {path}\n{SERVED}", 0o644))

    def test_apt_login(self) -> None:
        """The login is in a file for root alone, and for this repository alone."""
        found = files(apt(KEY, SERVED))
        self.assertEqual(len(found), 2)
        self.assertEqual(
            found["/etc/apt/auth.conf.d/pkgd.conf"],
            File(
                "/etc/apt/auth.conf.d/pkgd.conf",
                "# /etc/apt/auth.conf.d/pkgd.conf\nmachine https://pkg.example.com/apt/internal\n"
                "login key\npassword pkgd_...\n",
                0o600,
            ),
        )

    def test_dnf(self) -> None:
        """What is served, with the login behind it if there is one."""
        path = "/etc/yum.repos.d/internal-el9.repo"
        self.assertEqual(files(dnf(OPEN, "[it]\n"))[path], File(path, f"# {path}\n[it]\n", 0o644))
        self.assertEqual(
            files(dnf(KEY, "[it]\n"))[path],
            File(path, f"# {path}\n[it]\nusername=key\npassword=pkgd_...\n", 0o600),
        )

    def test_zypper(self) -> None:
        """The URL names the file of credentials."""
        parts = zypper(KEY)
        self.assertEqual(
            list(files(parts).values()),
            [File("/etc/zypp/credentials.d/pkgd", "username=key\npassword=pkgd_...\n", 0o600)],
        )
        added = "zypper addrepo --refresh --gpgcheck 'https://pkg.example.com/rpm/internal/el9/{}' internal-el9\n"
        self.assertTrue(typed(parts).startswith(added.format("?credentials=pkgd")))
        self.assertTrue(typed(zypper(OPEN)).startswith(added.format("")))


class UploadTests(SynchronousTestCase):
    """curl, dput, and a job of GitLab's."""

    def test_curl(self) -> None:
        """With a login only where one is needed."""
        self.assertEqual(
            typed(curl(KEY)),
            "curl -fsS -u key -T hello_1.0_amd64.deb "
            '"https://pkg.example.com/apt/internal/stable/main/"\n'
            'curl -fsS -u key -T hello-1.0-1.x86_64.rpm "https://pkg.example.com/rpm/internal/el9/"\n',
        )
        self.assertNotIn("-u", typed(curl(OPEN)))

    def test_dput(self) -> None:
        """The scheme is dput's method."""
        (lines,) = [one.text for one in dput(KEY) if isinstance(one, Lines)]
        self.assertEqual(
            lines,
            "[pkgd]\nmethod = https\nfqdn = pkg.example.com\nincoming = /apt/internal/incoming/stable\n"
            "login = key\nallow_unsigned_uploads = 1\n",
        )
        (lines,) = [one.text for one in dput(Target("http://10.0.0.5:8080")) if isinstance(one, Lines)]
        self.assertIn("method = http\nfqdn = 10.0.0.5:8080\n", lines)
        self.assertNotIn("login", lines)

    def test_gitlab(self) -> None:
        """The job's token is for this server, and is shown as a password and as Bearer."""
        (lines,) = [one.text for one in gitlab_ci(KEY) if isinstance(one, Lines)]
        job = yaml.safe_load(lines)["publish"]
        self.assertEqual(job["id_tokens"], {"PKGD": {"aud": "https://pkg.example.com"}})
        self.assertEqual(job["script"][0], 'echo "$PKGD" | docker login -u oidc --password-stdin pkg.example.com')
        self.assertIn("Bearer $PKGD", job["script"][2])
