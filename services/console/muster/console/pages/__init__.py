"""The pages, a file for each; `ALL` is where they are known."""

from muster.console.pages import home, links, sign_in

ALL = (home.pages, sign_in.pages, links.pages)
