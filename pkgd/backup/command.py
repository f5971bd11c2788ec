"""Behind the commands: from a configuration to what is backed up, restored and verified, and the exit status."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TextIO

from attrs import evolve, frozen

from pkgd.backup.checking import Findings, check_backup, check_state
from pkgd.backup.inventory import is_backup
from pkgd.backup.packagecheck import KnownKeys
from pkgd.backup.places import Places
from pkgd.backup.report import findings_json, findings_lines, taken_json, taken_lines
from pkgd.backup.restoring import restore
from pkgd.backup.taking import Order, take
from pkgd.config import Config, read_passphrase
from pkgd.errors import ConfigError
from pkgd.formats.globs import Globs
from pkgd.formats.openpgp import read_private_keys
from pkgd.progress import Progress
from pkgd.secretfiles import read_secret_file
from pkgd.storage.layout import name_of
from pkgd.terminal import bar_on

__all__ = ["Screen", "back_up", "put_back", "verify"]


@frozen
class Screen:
    """Where a command writes, and whether as JSON."""

    output: TextIO
    errors: TextIO
    as_json: bool = False

    @classmethod
    def standard(cls, as_json: bool) -> Screen:
        """Those of the process."""
        return cls(sys.stdout, sys.stderr, as_json)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A bar on a terminal."""
        with closing(bar_on(self.errors, is_of_bytes=True)) as progress:
            yield progress

    def show(self, lines: Iterator[str]) -> None:
        """Write lines."""
        for line in lines:
            print(line, file=self.output)


def back_up(config: Config, order: Order, screen: Screen) -> int:
    """Take a backup of the configuration's state; 1 if the state itself lacks something or is damaged.

    :raises ConfigError, Storage: as `take`; there is no backup then.
    """
    with screen.progress() as progress:
        taken = take(_places(config), evolve(order, is_sparse=_sparse(config)), time.time(), progress)
    screen.show(iter([taken_json(order.directory, taken)]) if screen.as_json else taken_lines(order.directory, taken))
    return 1 if taken.lacking or taken.damaged else 0


def put_back(config: Config, directory: str, screen: Screen) -> int:
    """Restore a backup into the configuration's state, and look through it; 1 if something is wrong with it.

    :raises ConfigError, Storage: as `restore`.
    """
    with screen.progress() as progress:
        restore(directory, _places(config), progress)
    return _say(str(config.state_dir), _check_state(config, screen), screen)


def verify(config: Config, directory: str | None, screen: Screen) -> int:
    """Look through a backup, or through the state of a directory (by default the configuration's); 1 if it is not well.

    :raises ConfigError: if there is no such directory, or it is neither.
    """
    if directory is None:
        return _say(str(config.state_dir), _check_state(config, screen), screen)
    places = Places.of_backup(directory)
    if is_backup(directory):
        with screen.progress() as progress:
            findings = check_backup(directory, _keys(config, places), _sparse(config), progress)
    else:
        findings = _check(places, config, screen)
    return _say(directory, findings, screen)


def _check_state(config: Config, screen: Screen) -> Findings:
    return _check(_places(config), config, screen)


def _check(places: Places, config: Config, screen: Screen) -> Findings:
    # A backup that is not whole has no `pkgd.lock`, and is not taken for a state.
    if not places.is_there("pkgd.lock"):
        raise ConfigError(places.state, "it is neither the directory of a state nor a whole backup")
    with screen.progress() as progress:
        return check_state(places, _keys(config, places), _sparse(config), progress)


def _say(what: str, findings: Findings, screen: Screen) -> int:
    screen.show(iter([findings_json(what, findings)]) if screen.as_json else findings_lines(what, findings))
    return 0 if findings.is_well else 1


def _places(config: Config) -> Places:
    return Places(str(config.state_dir), config.storage.filesystem.root)


def _sparse(config: Config) -> Callable[[str], bool]:
    """Whether the repository of a directory may lack blobs."""
    sparse = Globs(config.repositories.oci.sparse)

    def is_sparse(place: str) -> bool:
        name = name_of(place)
        return name is not None and sparse.match(name)

    return is_sparse


def _keys(config: Config, places: Places) -> KnownKeys:
    """The keys in a state, and those that the configuration names elsewhere, as far as they can be read."""
    passphrases, others, is_complete = list[str](), [], True
    for name, section in config.signing.keys.items():
        passphrase = read_passphrase(name, section)
        passphrases += [] if passphrase is None else [passphrase]
        if section.key_file is not None:
            others += read_private_keys(read_secret_file(section.key_file), passphrase)
        is_complete = is_complete and section.backend != "gnupg"
    return KnownKeys.of(places, passphrases, others, is_complete)
