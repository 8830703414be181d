"""The laptop's mailbox: an SMTP server that keeps every mail, and pages to read them."""

from alphapulse_local.mailbox.letters import Letter, Letters
from alphapulse_local.mailbox.pages import pages
from alphapulse_local.mailbox.smtp import receiving

__all__ = ["Letter", "Letters", "pages", "receiving"]
