"""The pages, a file for each; `ALL` is where they are known."""

from muster.console.pages import (
    afterwards,
    approvals,
    audit,
    check,
    compose,
    credits,
    customer,
    customers,
    fields,
    home,
    imports,
    keys,
    laws,
    links,
    me,
    operator,
    opt_outs,
    replies,
    report,
    roles,
    sends,
    settings,
    sign_in,
    team,
    tenants,
)

ALL = tuple(
    one.pages
    for one in (
        *(home, sign_in, links, compose, check, report, afterwards, sends, approvals, replies, credits),
        *(customers, imports, opt_outs, customer),
        *(settings, me, fields, team, keys, audit, roles),
        *(tenants, operator, laws),
    )
)
