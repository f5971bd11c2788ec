"""pkgd for `twistd -ny pkgd.tac`; PKGD_CONFIG names the configuration file."""

from twisted.application import service

from pkgd.tap import Options, makeService

application = service.Application("pkgd")
makeService(Options()).setServiceParent(application)
