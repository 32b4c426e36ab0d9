"""Muster on one machine: embedded Kafka, PostgreSQL, Caddy, mail and carrier, and the supervisor that runs them all."""
