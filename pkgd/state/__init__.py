"""index.sqlite: what can be derived from the tree, kept because deriving it each time is slow. The only SQL."""

from pkgd.state.database import Database, InlineDatabase
from pkgd.state.index import Contents, Index, Referrer
from pkgd.state.ledger import Cached, Group, Ledger, Root

__all__ = ["Cached", "Contents", "Database", "Group", "Index", "InlineDatabase", "Ledger", "Referrer", "Root"]
