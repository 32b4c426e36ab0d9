"""console: the web pages of Muster. It calls the public API and has neither a database nor Kafka."""
