"""BENCH=audience: a million customers of one business, beside a thousand businesses of a thousand."""
