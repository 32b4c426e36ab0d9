"""SQL, by what it is about: what was sent, the inbox, e-mails, and the laws."""
