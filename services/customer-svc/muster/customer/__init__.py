"""customer-svc: who is texted, what it costs, and the plan of each send."""
