"""Lets `twistd` find pkgd."""

from pkgd.tap import Maker

pkgd = Maker()
