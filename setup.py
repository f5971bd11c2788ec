"""pkgd's package: names, versions of what it needs, and its doors. Tool settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
namespace: dict[str, str] = {}
exec((here / "pkgd" / "__init__.py").read_text(encoding="utf-8"), namespace)  # noqa: S102

setup(
    name="pkgd",
    version=namespace["__version__"],
    description="An OCI registry and pull-through mirror, one daemon on Twisted",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["pkgd", "pkgd.*"]), "twisted.plugins"],
    package_data={
        "pkgd": ["py.typed"],
        "pkgd.web.openapi": ["*.json"],
        "pkgd.web.ui": ["*.html", "*.css", "*.js"],
        "twisted.plugins": ["pkgd_plugin.py"],
    },
    entry_points={"console_scripts": ["pkgd = pkgd.__main__:main", "docker-credential-pkgd = pkgd.login.helper:main"]},
    install_requires=[
        "attrs>=24.2",
        "backports.zstd>=1.3; python_version < '3.14'",
        "bcrypt>=5,<6",
        "cryptography>=44",
        "klein>=24.8,<26",
        "msgspec>=0.19,<1",
        "prometheus-client>=0.23,<1",
        "pyjwt>=2.13,<3",
        "pyopenssl>=25",
        "python-gnupg>=0.5.4,<0.6",
        "pyyaml>=6.0.2",
        "service-identity>=24.2",
        "tqdm>=4.67",
        "treq>=25.5",
        "twisted>=26.10,<28",
        "zope.interface>=7",
    ],
)
