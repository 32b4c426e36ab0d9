"""The pages, a file for each; `ALL` is where they are known."""

from muster.console.pages import approvals, check, compose, home, links, sends, sign_in

ALL = (approvals.pages, home.pages, sign_in.pages, links.pages, compose.pages, check.pages, sends.pages)
