"""reply-svc: which message a reply answers, what it asks for, and who hears of it."""
