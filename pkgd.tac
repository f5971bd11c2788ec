"""pkgd for `twistd -ny pkgd.tac`; PKGD_CONFIG names the configuration file."""

from twisted.application import service

from pkgd.tap import Options, service_for_twistd

application = service.Application("pkgd")
service_for_twistd(Options()).setServiceParent(application)
