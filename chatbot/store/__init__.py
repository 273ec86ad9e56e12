"""What the service remembers, in one SQLite file. The only package that imports SQLAlchemy and Alembic."""

from chatbot.store.records import (
    ConversationFilter,
    ConversationRow,
    ConversationSummary,
    Label,
    StoredMessage,
    TurnRecord,
    UnansweredQuestion,
    User,
)
from chatbot.store.sqlite import mended
from chatbot.store.store import Store

__all__ = [
    "ConversationFilter",
    "ConversationRow",
    "ConversationSummary",
    "Label",
    "Store",
    "StoredMessage",
    "TurnRecord",
    "UnansweredQuestion",
    "User",
    "mended",
]
